# SPDX-License-Identifier: Apache-2.0
"""The unit's Merkle log: its leaves, its signed head, and the proof at each start that the log was not changed."""
