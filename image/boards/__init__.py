# SPDX-License-Identifier: Apache-2.0
"""What each Raspberry Pi needs to start and to record: by its device tree, the kernel and the firmware's rules."""
