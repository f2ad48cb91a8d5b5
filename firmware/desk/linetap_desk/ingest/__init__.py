# SPDX-License-Identifier: Apache-2.0
"""Receives the units' reports, verifies, stores and confirms them. `docs/desk.md` gives an overview."""
