# SPDX-License-Identifier: Apache-2.0
"""The first page: what is mine to do, and what is wrong."""
