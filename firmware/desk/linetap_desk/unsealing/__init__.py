# SPDX-License-Identifier: Apache-2.0
"""A sealed call, verified whole; the layers of its key, taken off one by one by the people who hold its keys."""
