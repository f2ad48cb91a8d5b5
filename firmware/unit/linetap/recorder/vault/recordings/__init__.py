# SPDX-License-Identifier: Apache-2.0
"""A recording while its call lasts: what goes into the journal, where a part ends, and its line in the index."""
