# SPDX-License-Identifier: Apache-2.0
"""The requirements of each Raspberry Pi for starting and recording: from its device tree, the kernel and the firmware's
rules.
"""
