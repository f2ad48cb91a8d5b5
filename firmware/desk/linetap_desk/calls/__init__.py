# SPDX-License-Identifier: Apache-2.0
"""Searches for calls in the ingest's database, a page at a time, for a terminal and for the desk's pages."""
