# SPDX-License-Identifier: Apache-2.0
"""Another program for a line meter, over its USB: the signed file, the protocol DFU 1.1, the device, the command."""
