# SPDX-License-Identifier: Apache-2.0
"""Finding the calls of a number in the indexes of vaults."""
