# SPDX-License-Identifier: Apache-2.0
"""Calls out of the database that the ingest keeps: found, a page at a time, for a terminal and for the desk's pages."""
