# SPDX-License-Identifier: Apache-2.0
"""TOML files, read strictly: all errors at once, each with its line."""
