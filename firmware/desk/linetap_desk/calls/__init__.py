# SPDX-License-Identifier: Apache-2.0
"""Searches for calls in the ingest's database, in pages, for a terminal and for the desk's pages."""
