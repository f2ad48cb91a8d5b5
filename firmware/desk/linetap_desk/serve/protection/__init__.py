# SPDX-License-Identifier: Apache-2.0
"""The protection of staff: the report with its CSV and `linetap desk protection`, the coverage of telephones, and the
calls of one accusation."""
