# SPDX-License-Identifier: Apache-2.0
"""Witnesses of units' logs: what they have cosigned, what a policy asks of it, and how it is fetched from them."""
