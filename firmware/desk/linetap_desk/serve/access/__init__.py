# SPDX-License-Identifier: Apache-2.0
"""The access log of the pages: person, page, address and reason; committed before a page is sent."""
