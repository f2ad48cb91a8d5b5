# SPDX-License-Identifier: Apache-2.0
"""A unit's first minutes: one file on the boot partition becomes its configuration, and is wiped."""
