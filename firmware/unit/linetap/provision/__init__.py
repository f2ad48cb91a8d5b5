# SPDX-License-Identifier: Apache-2.0
"""Provisioning of a unit: one file on the boot partition becomes its configuration, and is wiped."""
