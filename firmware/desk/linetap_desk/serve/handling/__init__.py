# SPDX-License-Identifier: Apache-2.0
"""What every handler of a page receives: the site, its route, and the checks that come before it."""
