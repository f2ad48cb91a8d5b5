# SPDX-License-Identifier: Apache-2.0
"""The initramfs's measurements into a TPM, and the image's permissions: the original lines of both, in their shells."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from linetap import unitkeys
from linetap.config.schema import Keys
from linetap.tpm import bootpolicy, commands
from linetap.tpm.device import open_device
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import sshsig
from tpm_rig import ROOT, Release, SoftTpm, short_folder

PROJECT = Path(__file__).resolve().parents[2]
EXTEND_BYTES = 65


@pytest.fixture
def tpm() -> Iterator[SoftTpm]:
    folder = short_folder()
    tpm = SoftTpm(folder / "a")
    tpm.power_on()
    yield tpm
    tpm.power_off()
    shutil.rmtree(folder)


def told(text: str) -> bytes:
    """The bytes that the initramfs's `measure` writes to its TPM, in its own shell; a terminal is the device."""
    init = (PROJECT / "image" / "initramfs" / "init").read_text()
    function = re.search(r"^measure\(\) \{.*?^\}$", init, re.MULTILINE | re.DOTALL)
    assert function is not None
    ours, its = os.openpty()
    try:
        tty.setraw(its)
        script = f'say() {{ echo "$*" >&2; }}\nTPM={os.ttyname(its)}\n{function[0]}\nmeasure {text}\n'
        subprocess.run(["busybox", "sh", "-c", script], check=True, timeout=120)
        found = b""
        while len(found) < EXTEND_BYTES:
            found += os.read(ours, EXTEND_BYTES - len(found))
        os.set_blocking(ours, False)
        with pytest.raises(BlockingIOError):
            os.read(ours, 1)
        return found
    finally:
        os.close(ours)
        os.close(its)


def test_initramfs_measures_its_root_and_how_far_it_has_come(tpm: SoftTpm) -> None:
    init = (PROJECT / "image" / "initramfs" / "init").read_text()
    assert re.findall(r"^measure (.*)$", init, re.MULTILINE) == ['"linetap-root:$hash"', "linetap-stage:run"]
    transport = open_device(tpm.path)
    for text, stages in ((f"linetap-root:{ROOT}", ()), ("linetap-stage:run", ("run",))):
        answer = transport.exchange(told(text))
        assert answer[6:10] == bytes(4), "the TPM takes it"
        assert commands.pcr_read(transport, bootpolicy.PCR) == bootpolicy.measured(ROOT, stages)
    transport.close()


def test_without_a_tpm_the_start_goes_on() -> None:
    init = (PROJECT / "image" / "initramfs" / "init").read_text()
    function = re.search(r"^measure\(\) \{.*?^\}$", init, re.MULTILINE | re.DOTALL)
    assert function is not None
    script = f"set -e\nTPM=/nowhere\n{function[0]}\nmeasure linetap-stage:run\n"
    subprocess.run(["busybox", "sh", "-c", script], check=True, timeout=120)


def command_line(key: Path | None, tmp_path: Path) -> str:
    """The command line that `seal_slot` writes for a root."""
    script = f"""
set -euo pipefail
say() {{ printf 'image: %s\\n' "$*"; }}
fail() {{ say "$*" >&2; exit 1; }}
WORK={tmp_path} BIN={PROJECT}/.venv/bin {f"KEY={key}" if key else ""}
. image/steps/boot.sh
cmdline 100 {ROOT} aa
"""
    done = subprocess.run(["bash", "-c", script], cwd=PROJECT, check=True, capture_output=True, timeout=120)
    return done.stdout.decode()


def test_what_the_image_permits_lets_the_key_sign_in_the_boot_that_the_initramfs_measures(
    tpm: SoftTpm, tmp_path: Path
) -> None:
    """From the build to a signature: root hash, command line, measurement, key, stock ssh-keygen's format."""
    release = Release(tmp_path)
    line = command_line(release.private, tmp_path)
    assert line.count("\n") == 1
    assert len(line) < 1500, "the kernel of arm64 takes 2048, and the Pi's firmware adds its own"
    assert f"linetap.verity=100:{ROOT}:aa linetap.boot=" in line
    (tmp_path / "cmdline").write_text(line)
    transport = open_device(tpm.path)
    for text in (f"linetap-root:{ROOT}", "linetap-stage:run"):
        transport.exchange(told(text))
    transport.close()
    where = Keys(
        custodians=["-"], overflow_epoch="-", unit_key="tpm", tpm=str(tpm.path), boots=str(tmp_path / "cmdline"),
        release=str(release.public),
    )  # fmt: skip
    (tmp_path / "unit.key").write_bytes(unitkeys.make(where))
    key = unitkeys.open_key(tmp_path / "unit.key", where)
    armored = sshsig.sign(b"a record", key, "linetap-record").encode()
    assert keys.public_blob(sshsig.check(b"a record", armored, "linetap-record")) == keys.public_blob(key.public_key())


def test_a_key_that_no_tpm_can_check_costs_no_build(tmp_path: Path) -> None:
    command = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(tmp_path / "other.key")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    for key in (None, tmp_path / "other.key"):
        line = command_line(key, tmp_path)
        assert line.endswith(f"linetap.verity=100:{ROOT}:aa\n")
