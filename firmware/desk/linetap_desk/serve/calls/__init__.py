# SPDX-License-Identifier: Apache-2.0
"""The pages of calls: the form of a search, what it finds, and all that the desk knows of one call."""
