# SPDX-License-Identifier: Apache-2.0
"""A sealed call and the documents beside it: names, record, key, codec, amendment, hold, index entry."""
