# SPDX-License-Identifier: Apache-2.0
"""What was seen, by whom, from where, whose and why: written before it is shown."""
