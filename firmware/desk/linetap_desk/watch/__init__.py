# SPDX-License-Identifier: Apache-2.0
"""The desk's view of all units, from what the broker has of them. It only reads. `docs/desk.md` has it in a page."""
