# SPDX-License-Identifier: Apache-2.0
"""The page that prepares a file for an accusation: the released calls of one case, and the command that bundles
them."""
