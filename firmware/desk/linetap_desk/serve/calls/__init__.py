# SPDX-License-Identifier: Apache-2.0
"""The pages of calls: the search form, its results, and the page of one call."""
