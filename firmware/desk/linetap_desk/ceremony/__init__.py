# SPDX-License-Identifier: Apache-2.0
"""Keys of custodians, officers and days: created, wrapped again, destroyed, and certified as destroyed."""
