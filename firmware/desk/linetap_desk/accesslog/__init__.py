# SPDX-License-Identifier: Apache-2.0
"""The access log of recordings: the log, its folder, and the roles in force."""
