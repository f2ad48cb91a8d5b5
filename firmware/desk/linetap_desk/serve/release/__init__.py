# SPDX-License-Identifier: Apache-2.0
"""Releases on pages: files pass from one person's device to the next, are checked early, and each step is logged before
it is taken. The desk has no key that opens, approves, holds, destroys or appoints."""
