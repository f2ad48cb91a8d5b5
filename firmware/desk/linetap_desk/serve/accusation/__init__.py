# SPDX-License-Identifier: Apache-2.0
"""The page that leads to a file for an accusation: the released calls of one matter, and the command that bundles
them."""
