# SPDX-License-Identifier: Apache-2.0
"""The Debian package of each external program that a command starts, for the message that a program is missing."""

from __future__ import annotations

from pathlib import PurePath

from linetap_core import system
from linetap_core.errors import BadInput

# Program -> the package of Debian 13 that a person installs for it. tests/core/test_absent.py compares with dpkg.
PACKAGES = {
    "age": "age",
    "cryptsetup": "cryptsetup-bin",
    "dmsetup": "dmsetup",
    "espeak-ng": "espeak-ng",
    "ffmpeg": "ffmpeg",
    "mosquitto": "mosquitto",
    "openssl": "openssl",
    "psql": "postgresql",  # with the server, which setup needs too
    "runuser": "util-linux",
    "setpriv": "util-linux",
    "sigsum-verify": "sigsum-go",
    "ssh-keygen": "openssh-client",
    "systemctl": "systemd",
    "unsquashfs": "squashfs-tools",
}


def not_installed(program: str) -> str:
    """The message `age is not installed: apt install age`. It names no package on Windows, nor for a program that is
    not in PACKAGES.
    """
    name = PurePath(program).name
    if system.IS_WINDOWS or name not in PACKAGES:
        return f"{program} is not installed"
    return f"{program} is not installed: apt install {PACKAGES[name]}"


def require_program(name: str, purpose: str = "") -> str:
    """The path of an installed program. BadInput names its package. `purpose`: what needs it, after the message."""
    path = system.program(name)
    if path is None:
        raise BadInput(not_installed(name) + (f"; {purpose}" if purpose else ""))
    return path
