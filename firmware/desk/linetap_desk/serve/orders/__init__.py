# SPDX-License-Identifier: Apache-2.0
"""The order of a new unit, made from two forms: the settings of the site, and those of the unit."""
