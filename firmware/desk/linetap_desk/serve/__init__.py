# SPDX-License-Identifier: Apache-2.0
"""`linetap desk serve`: the desk's pages. It reads the data that the ingest has stored, and has no key that opens
calls."""
