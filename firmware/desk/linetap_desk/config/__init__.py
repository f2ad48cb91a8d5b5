# SPDX-License-Identifier: Apache-2.0
"""The tables of desk.toml, read strictly; command-line options override them."""
