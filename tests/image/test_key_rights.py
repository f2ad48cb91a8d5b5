# SPDX-License-Identifier: Apache-2.0
"""An access list, a mode or an owner that somebody with the card has given to a private key on the state partition:
the start takes the right away. The kernel's ext4 has no mount option against access lists (`noacl` was removed)."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "blockcuts"))

from disk import make_file_system, require, run

STATE = Path(__file__).resolve().parents[2] / "image/root/usr/lib/linetap/state"
REPORTER, MIB = 993, 64
NAMES = ("unit.key", "unit.key.kept", "tls.key", "tls.key.kept")
# linux/posix_acl_xattr.h: the version, then tag, permissions and id of each entry
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER, NO_ID = 0x01, 0x02, 0x04, 0x10, 0x20, 0xFFFFFFFF
ENTRIES = ((USER_OBJ, 6, NO_ID), (USER, 4, REPORTER), (GROUP_OBJ, 0, NO_ID), (MASK, 4, NO_ID), (OTHER, 0, NO_ID))
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in ENTRIES)


@pytest.mark.parametrize("given", ["list", "mode", "owner"])
def test_a_start_takes_another_services_right_to_a_key(tmp_path: Path, given: str) -> None:
    require()
    image, place, runs = tmp_path / "card.img", tmp_path / "card", tmp_path / "run"
    for path in (place, runs):
        path.mkdir()
    image.touch()
    os.truncate(image, MIB << 20)
    make_file_system(str(image), MIB)
    run("mount", "-o", "loop,nosymfollow", image, place)
    try:
        folder = place / "etc/linetap"
        folder.mkdir(parents=True)
        for name in NAMES:
            _give(folder / name, given)
        names = {"LINETAP_STATE": place, "LINETAP_RUN": runs, "LINETAP_LOG": runs / "kmsg"}
        environment = os.environ | {name: str(path) for name, path in names.items()}
        subprocess.run([STATE], env=environment, timeout=60, check=True)
        readable = [name for name in NAMES if _may_read(folder, name)]
        modes = {(folder / name).stat().st_mode & 0o777 for name in NAMES}
    finally:
        run("umount", place)
    assert (readable, modes) == ([], {0o600})


def _give(key: Path, right: str) -> None:
    key.write_text("private")
    key.chmod(0o644 if right == "mode" else 0o600)
    if right == "list":
        os.setxattr(key, "system.posix_acl_access", ACL)
    elif right == "owner":
        os.chown(key, REPORTER, REPORTER)


def _may_read(folder: Path, name: str) -> bool:
    read = ["setpriv", f"--reuid={REPORTER}", f"--regid={REPORTER}", "--clear-groups", "cat", name]
    return subprocess.run(read, cwd=folder, capture_output=True, timeout=60, check=False).returncode == 0
