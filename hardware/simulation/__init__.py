# SPDX-License-Identifier: Apache-2.0
"""Simulates the drawing's netlist (hardware/linetap.cir) in ngspice and compares it with the requirements of a line.

netlist.py reads and changes it, spice.py runs it, corners.py applies tolerances; the other modules are the
requirements.
"""
