# SPDX-License-Identifier: Apache-2.0
"""The order of a new unit, made from two forms: what all units of a site share, and what is one unit's own."""
