# SPDX-License-Identifier: Apache-2.0
"""unit.toml, strict and frozen: an unknown key is an error, and all errors are reported at once with their lines."""

from linetap.config.check import config_sha256, notices_folder, profile_of
from linetap.config.profile import Profile
from linetap.config.schema import Card, Config, Line
from linetap.config.unsignededit import load_config

__all__ = [
    "Card",
    "Config",
    "Line",
    "Profile",
    "config_sha256",
    "load_config",
    "notices_folder",
    "profile_of",
]
