# SPDX-License-Identifier: Apache-2.0
"""`linetap desk rebuild`: builds the ingest's database again, from the units and the store of copies. See
docs/desk.md."""
