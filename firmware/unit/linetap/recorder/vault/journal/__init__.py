# SPDX-License-Identifier: Apache-2.0
"""The journal: audio of open calls beyond their whole chunks, on disk every 400 ms (docs/vault.md)."""
