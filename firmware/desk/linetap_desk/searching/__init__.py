# SPDX-License-Identifier: Apache-2.0
"""`linetap find`: finds the calls of a telephone number in the encrypted indexes of vaults."""
