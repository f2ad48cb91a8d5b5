# SPDX-License-Identifier: Apache-2.0
"""Where a notice was played, and whether the line returned it."""
