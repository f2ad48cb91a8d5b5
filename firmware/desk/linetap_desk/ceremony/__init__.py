# SPDX-License-Identifier: Apache-2.0
"""Keys of custodians, officers and days: made, wrapped anew, destroyed, and certified as destroyed."""
