# SPDX-License-Identifier: Apache-2.0
"""A unit's next version: fetched, installed beside the running one, tried between two calls, kept if it is well.

The recorder writes the request; root carries it out (systemd/linetap_update.service) with RAUC, and reports its
progress.
"""
