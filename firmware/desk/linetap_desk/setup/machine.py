# SPDX-License-Identifier: Apache-2.0
"""What is changed on the machine: files with their owners, and other programs that are run."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput

LIMIT_S = 180


def run(*words: str, given: str | None = None) -> str:
    """Standard output of a program. BadInput with the last line of what it says where it fails."""
    done = attempt(words, given)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"ended with {done.returncode}"]
        raise BadInput(f"{' '.join(words[:6])}: {said[-1]}")
    return done.stdout.strip()


def attempt(words: Sequence[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Whatever it says; 127 where the program is missing or takes longer than LIMIT_S."""
    try:
        return subprocess.run(words, input=given or "", capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        why = "took too long" if isinstance(error, subprocess.TimeoutExpired) else "is not installed"
        return subprocess.CompletedProcess(words, 127, "", f"{words[0]} {why}")


def as_user(user: str, *words: str) -> tuple[str, ...]:
    return ("runuser", "-u", user, "--", *words)


def own(path: Path, user: str, group: str, mode: int) -> None:
    """Owner, group and mode, whatever they were."""
    os.chown(path, number_of(user), grp.getgrnam(group).gr_gid)
    path.chmod(mode)


def number_of(user: str) -> int:
    """BadInput where there is no such user."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise BadInput(f"there is no user {user}: the Debian package linetap-desk makes it") from None


def lay(path: Path, data: bytes, user: str = "root", group: str = "root", mode: int = 0o644) -> bool:
    """A file of this content. Returns whether it was another before."""
    changed = not path.is_file() or path.read_bytes() != data
    if changed:
        replace_durably(path, data, mode=mode)
    own(path, user, group, mode)
    return changed
