# SPDX-License-Identifier: Apache-2.0
"""The access log of the pages: who saw what, from where, and why; committed before a page is sent."""
