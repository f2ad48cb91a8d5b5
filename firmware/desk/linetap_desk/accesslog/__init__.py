# SPDX-License-Identifier: Apache-2.0
"""The access log of recordings at a desk's folder, and the roles in force."""
