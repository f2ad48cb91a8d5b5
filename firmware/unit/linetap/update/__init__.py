# SPDX-License-Identifier: Apache-2.0
"""A unit's next version: fetched, installed beside the one that runs, tried between two calls, kept if it is well.

The recorder says what is wanted; root does it (systemd/linetap_update.service) with RAUC, and says how far it is.
"""
