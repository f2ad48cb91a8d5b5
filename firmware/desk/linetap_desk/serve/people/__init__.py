# SPDX-License-Identifier: Apache-2.0
"""Accounts, their roles and passwords, sessions, and the OIDC provider."""
