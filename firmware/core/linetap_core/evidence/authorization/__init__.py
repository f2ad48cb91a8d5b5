# SPDX-License-Identifier: Apache-2.0
"""Who may do what: roles, signed commands to units, and requests to open calls."""
