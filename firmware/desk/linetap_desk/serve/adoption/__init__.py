# SPDX-License-Identifier: Apache-2.0
"""New units on the network: configurations that wait for them, the digits that are compared, and their certificates."""
