# SPDX-License-Identifier: Apache-2.0
"""New units on the network: their prepared configurations, the compared digits, and their certificates."""
