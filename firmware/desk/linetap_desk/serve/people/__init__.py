# SPDX-License-Identifier: Apache-2.0
"""Who somebody is, and what they may."""
