# SPDX-License-Identifier: Apache-2.0
"""Opens a sealed call: verifies it whole, and removes the layers of its key one by one, by the people who have its
keys."""
