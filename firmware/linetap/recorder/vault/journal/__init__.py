# SPDX-License-Identifier: Apache-2.0
"""The journal: what of the open calls is not in whole chunks yet, on disk four times a second (docs/vault.md)."""
