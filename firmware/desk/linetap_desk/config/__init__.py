# SPDX-License-Identifier: Apache-2.0
"""The strict tables of desk.toml; command-line options override them."""
