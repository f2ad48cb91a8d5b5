# SPDX-License-Identifier: Apache-2.0
"""A call's folder as it is written: its parts, its gaps, its files, and the jobs that make them."""
