# SPDX-License-Identifier: Apache-2.0
"""The report on the protection of staff: its page, its CSV, and `linetap desk protection`."""
