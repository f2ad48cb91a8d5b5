# SPDX-License-Identifier: Apache-2.0
"""The update of a unit: a version is fetched, installed beside the running one, tried, and kept if it works.

The recorder writes the request; root executes it (systemd/linetap_update.service) with RAUC, and reports its progress.
"""
