# SPDX-License-Identifier: Apache-2.0
"""Who did what with whose recording: the log, the folder it lies in, and the roles in force."""
