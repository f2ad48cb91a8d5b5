# SPDX-License-Identifier: Apache-2.0
"""The page of signed commands on their way to the units."""
