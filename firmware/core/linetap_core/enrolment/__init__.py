# SPDX-License-Identifier: Apache-2.0
"""A unit's request for its TLS certificate, its adoption and its order, and the authority's X.509. Pure: no files."""
