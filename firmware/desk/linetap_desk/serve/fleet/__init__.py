# SPDX-License-Identifier: Apache-2.0
"""All units on a page, as the broker has them, and every change of them a moment later."""
