# SPDX-License-Identifier: Apache-2.0
"""Verifies that a whole vault is as its unit sealed it: log, outbox, and every file beside the calls. Needs no
secret."""
