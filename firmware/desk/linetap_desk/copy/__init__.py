# SPDX-License-Identifier: Apache-2.0
"""The second copy: the ciphertext of every sealed call, at the desk. A part of `linetap desk ingest`."""
