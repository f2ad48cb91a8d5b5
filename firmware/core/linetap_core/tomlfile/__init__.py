# SPDX-License-Identifier: Apache-2.0
"""TOML files read strictly: every error at once, each with its line."""
