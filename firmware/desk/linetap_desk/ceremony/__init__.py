# SPDX-License-Identifier: Apache-2.0
"""Creates, re-wraps and destroys the keys of custodians, officers and days, and certifies their destruction."""
