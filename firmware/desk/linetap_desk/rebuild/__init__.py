# SPDX-License-Identifier: Apache-2.0
"""`linetap desk rebuild`: rebuilds the ingest's database from the units and the store of copies. See docs/desk.md."""
