# SPDX-License-Identifier: Apache-2.0
"""Lays out a board from the circuit's tables: footprints, places, tracks, production files and checks."""
