# SPDX-License-Identifier: Apache-2.0
"""Keys are made, kept and destroyed: custodians, days, officers, and the certificates of their end."""
