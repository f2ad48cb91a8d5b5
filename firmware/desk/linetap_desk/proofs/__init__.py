# SPDX-License-Identifier: Apache-2.0
"""Verifies that one call is as its unit sealed it: record, signature, files and amendments. Needs no secret."""
