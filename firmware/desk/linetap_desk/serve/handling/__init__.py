# SPDX-License-Identifier: Apache-2.0
"""The input of every page's handler: the site, its route, and the preceding checks."""
