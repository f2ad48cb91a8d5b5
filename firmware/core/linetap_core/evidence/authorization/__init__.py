# SPDX-License-Identifier: Apache-2.0
"""Authorization: roles, signed commands to units, and requests to open calls."""
