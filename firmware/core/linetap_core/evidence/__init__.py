# SPDX-License-Identifier: Apache-2.0
"""Pure functions over bytes: keys, sealing, signatures and Merkle trees. No files (except leaflog), no network, no
clock."""
