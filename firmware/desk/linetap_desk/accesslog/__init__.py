# SPDX-License-Identifier: Apache-2.0
"""Who did what with which recording: the log, its folder, and the roles in force."""
