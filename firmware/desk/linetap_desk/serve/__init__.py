# SPDX-License-Identifier: Apache-2.0
"""`linetap desk serve`: the desk's pages. It reads what the ingest has stored, and holds no key that opens anything."""
