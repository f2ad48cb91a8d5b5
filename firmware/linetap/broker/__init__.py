# SPDX-License-Identifier: Apache-2.0
"""The way to a broker, as a unit's reporter and the desk's ingest both go it."""
