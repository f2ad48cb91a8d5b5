# SPDX-License-Identifier: Apache-2.0
"""`linetap desk rebuild`: the ingest's database made again, from the units and the store of copies. docs/desk.md."""
