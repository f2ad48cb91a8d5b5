# SPDX-License-Identifier: Apache-2.0
"""Pure functions over bytes: sealing, signatures and Merkle trees. No files (but for leaflog), no network, no clock."""
