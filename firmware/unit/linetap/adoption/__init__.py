# SPDX-License-Identifier: Apache-2.0
"""A new unit finds its desk on the network and is adopted: six digits on CALL, compared by two people."""
