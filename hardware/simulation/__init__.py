# SPDX-License-Identifier: Apache-2.0
"""Runs the netlist of the drawing (hardware/linetap.cir) through ngspice and holds it against what a line may ask.

netlist.py reads and changes it, spice.py runs it, corners.py makes parts bad; the other modules are the requirements.
"""
