# SPDX-License-Identifier: Apache-2.0
"""The tables of the pages' own database, its writing transactions, and the access log: person, page, address and
reason, committed before a page is sent."""
