# SPDX-License-Identifier: Apache-2.0
"""Where a notice played, and whether it was heard."""
