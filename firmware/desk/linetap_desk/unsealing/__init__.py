# SPDX-License-Identifier: Apache-2.0
"""A call is verified and opened, layer by layer, by those who hold its keys; held and wrapped anew."""
