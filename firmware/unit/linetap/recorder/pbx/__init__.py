# SPDX-License-Identifier: Apache-2.0
"""Calls by the PBX's reports: joined with our calls, and compared with them day by day."""
