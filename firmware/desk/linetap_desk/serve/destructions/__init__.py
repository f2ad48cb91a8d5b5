# SPDX-License-Identifier: Apache-2.0
"""The page of certificates of destroyed keys, on their way to the units."""
