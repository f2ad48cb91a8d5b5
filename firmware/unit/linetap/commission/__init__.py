# SPDX-License-Identifier: Apache-2.0
"""Putting a unit into service: its configuration and its signing key."""
