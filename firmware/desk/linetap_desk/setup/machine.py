# SPDX-License-Identifier: Apache-2.0
"""Changes the machine: files with their owners, and other programs; and the paths and owners of a desk's files, as in
the package linetap-desk and its units."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from linetap_core import absent
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput

LIMIT_S = 180


def run_checked(*words: str, given: str | None = None) -> str:
    """The standard output of a program. If it fails, BadInput with the last line that it wrote."""
    done = run_program(words, given)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"ended with {done.returncode}"]
        raise BadInput(f"{' '.join(words[:6])}: {lines[-1]}")
    return done.stdout.strip()


def run_program(words: Sequence[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    """The result of a program; 127 if it is missing or takes longer than LIMIT_S."""
    try:
        return subprocess.run(words, input=given or "", capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        why = f"{words[0]} took too long" if late else absent.not_installed(words[0])
        return subprocess.CompletedProcess(words, 127, "", why)


def as_user(user: str, *words: str) -> tuple[str, ...]:
    return ("runuser", "-u", user, "--", *words)


def set_owner(path: Path, user: str, group: str, mode: int) -> None:
    """Sets owner, group and mode."""
    os.chown(path, require_user(user), grp.getgrnam(group).gr_gid)
    path.chmod(mode)


def require_user(user: str) -> int:
    """The user's number. BadInput if there is none of this name."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise BadInput(f"there is no user {user}: the Debian package linetap-desk makes it") from None


def write_file(path: Path, data: bytes, user: str = "root", group: str = "root", mode: int = 0o644) -> bool:
    """Writes a file; returns whether its content changed."""
    changed = not path.is_file() or path.read_bytes() != data
    if changed:
        replace_durably(path, data, mode=mode)
    set_owner(path, user, group, mode)
    return changed


FOLDER = Path("/etc/linetap-desk")
CONFIG = FOLDER / "desk.toml"
STATE = Path("/var/lib/linetap-desk")
OUTGOING, HOLDS = STATE / "outgoing", STATE / "holds"  # the pages write there, and the ingest reads
PAGES_STATE = Path("/var/lib/linetap-pages")
MOSQUITTO = Path("/etc/mosquitto")
MOSQUITTO_FILES = MOSQUITTO / "linetap"
SHIPPED = Path("/usr/share/linetap-desk")
PKI = Path("/root/linetap-pki")
COPY = Path("/srv/linetap-copy")

DESK, PAGES = "linetap-desk", "linetap-pages"  # users of ingest and pages; the second is in the first's group
BROKER_UNIT, INGEST_UNIT, PAGES_UNIT = "mosquitto.service", "linetap-ingest.service", "linetap-serve.service"
POSTGRESQL_UNIT = "postgresql.service"
PORT, PAGES_PORT = 8883, 8443
DATABASES = ("sqlite", "postgresql")
LOOPBACK = "127.0.0.1"
# Names at the broker, in the shipped acl and in its certificates: `desk:ingest`.
INGEST_NAME, PAGES_NAME, DOCTOR_NAME, SEND_NAME = "ingest", "pages", "doctor", "send"
# Keys that only one user may read -> that user.
KEYS = {
    "desk.key": DESK, "ingest-tls.key": DESK, "serve-log.key": PAGES, "serve-tls.key": PAGES, "pages-tls.key": PAGES,
    "doctor-tls.key": "root", "send-tls.key": "root",
}  # fmt: skip
