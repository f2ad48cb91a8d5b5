# SPDX-License-Identifier: Apache-2.0
"""The page of all units, with live updates."""
