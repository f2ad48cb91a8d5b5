# SPDX-License-Identifier: Apache-2.0
"""The search of calls, and all that the desk knows of one."""
