# SPDX-License-Identifier: Apache-2.0
"""The second copy of every sealed call's ciphertext, at the desk. A part of `linetap desk ingest`."""
