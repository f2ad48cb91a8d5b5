# SPDX-License-Identifier: Apache-2.0
"""Commissioning of a unit: its configuration and its signing key."""
