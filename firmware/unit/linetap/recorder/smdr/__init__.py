# SPDX-License-Identifier: Apache-2.0
"""SMDR (station message detail recording): the serial port of the PBX, and the layouts of its lines."""
