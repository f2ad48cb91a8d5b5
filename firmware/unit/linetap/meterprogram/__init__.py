# SPDX-License-Identifier: Apache-2.0
"""The update of a line meter's program over USB: the signed file, the protocol DFU 1.1, the device, the command."""
