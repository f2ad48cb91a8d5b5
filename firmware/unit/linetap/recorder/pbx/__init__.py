# SPDX-License-Identifier: Apache-2.0
"""Calls as the PBX reports them: joined with our calls, and compared with them day by day."""
