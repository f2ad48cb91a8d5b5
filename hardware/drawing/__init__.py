# SPDX-License-Identifier: Apache-2.0
"""Writes the circuit's tables (hardware/circuit) as KiCad 9 schematics; `tools/draw.py` runs it."""
