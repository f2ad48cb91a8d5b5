# SPDX-License-Identifier: Apache-2.0
"""The journal: what of the open calls is not in whole chunks yet, on disk every 400 ms (docs/vault.md)."""
