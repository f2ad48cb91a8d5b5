# SPDX-License-Identifier: Apache-2.0
"""Draws the circuit's tables (hardware/circuit) as KiCad 9 schematics. `tools/draw.py` writes the files."""
