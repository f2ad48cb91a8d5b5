# SPDX-License-Identifier: Apache-2.0
"""The tables of the pages' own database, and its writing transactions."""
