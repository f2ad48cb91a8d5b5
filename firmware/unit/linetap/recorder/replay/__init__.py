# SPDX-License-Identifier: Apache-2.0
"""The recorder over a recording of the lines: the same code, and the same records every time."""
