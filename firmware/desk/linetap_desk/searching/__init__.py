# SPDX-License-Identifier: Apache-2.0
"""`linetap find`: the calls of a telephone number, from the encrypted indexes of vaults."""
