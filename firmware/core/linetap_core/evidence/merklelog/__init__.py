# SPDX-License-Identifier: Apache-2.0
"""The unit's Merkle log (RFC 6962): leaves, signed tree heads, and proofs that a leaf is in it."""
