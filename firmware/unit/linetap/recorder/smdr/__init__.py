# SPDX-License-Identifier: Apache-2.0
"""SMDR (station message detail recording), as the PBX prints it: the serial port and the layouts of its lines."""
