# SPDX-License-Identifier: Apache-2.0
"""Login, logout, unlocking a session, changing a password."""
