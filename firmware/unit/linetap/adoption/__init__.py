# SPDX-License-Identifier: Apache-2.0
"""The adoption of a new unit by a desk that it finds on the network: six digits on CALL, compared by two people."""
