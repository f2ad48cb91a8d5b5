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
from tpm_rig import ROOT, STRANGE_ROOT, Release, SoftTpm, short_folder

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


def command_line(tmp_path: Path, clone: Path = PROJECT, **names: Path) -> tuple[str, str]:
    """The command line that `seal_slot` writes for a root in a build with these variables, and the build's warnings."""
    script = f"""
set -euo pipefail
say() {{ printf 'image: %s\n' "$*"; }}
fail() {{ say "$*" >&2; exit 1; }}
WORK={tmp_path} ROOT={tmp_path} BIN={PROJECT}/.venv/bin
. image/steps/boot.sh
. image/steps/update.sh
cmdline 100 {ROOT} aa
"""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("LINETAP_")}
    done = subprocess.run(
        ["bash", "-c", script], cwd=clone, check=True, capture_output=True, timeout=120, text=True,
        env=environment | {f"LINETAP_{name}": str(path) for name, path in names.items()},
    )  # fmt: skip
    return done.stdout, done.stderr


def other_key(tmp_path: Path, algorithm: str = "ed25519") -> Path:
    path = tmp_path / f"{algorithm}.key"
    command = ["openssl", "genpkey", "-algorithm", algorithm, "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return path


def test_what_the_image_permits_lets_the_key_sign_in_the_boot_that_the_initramfs_measures(
    tpm: SoftTpm, tmp_path: Path
) -> None:
    """From the build to a signature: root hash, command line, measurement, key, stock ssh-keygen's format."""
    release = Release(tmp_path)
    line, warnings = command_line(tmp_path, UPDATE_KEY=release.private)
    assert warnings == ""
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


def test_a_key_that_no_tpm_can_check_costs_no_build_and_is_named(tmp_path: Path) -> None:
    line, warnings = command_line(tmp_path, UPDATE_KEY=other_key(tmp_path))
    assert line.endswith(f"linetap.verity=100:{ROOT}:aa\n")
    assert "no key in a TPM signs in its boots: " in warnings
    assert "not a P-256 key" in warnings


def test_without_any_settings_the_development_key_signs(tmp_path: Path) -> None:
    """The image of a clone as a newcomer builds it."""
    release = Release(tmp_path)
    (tmp_path / "image").symlink_to(PROJECT / "image")
    (tmp_path / "build/update-key").mkdir(parents=True)
    shutil.copy(release.private, tmp_path / "build/update-key/key.pem")
    assert command_line(tmp_path, clone=tmp_path) == command_line(tmp_path, UPDATE_KEY=release.private)
    assert " linetap.boot=linetap-volume:" in command_line(tmp_path, clone=tmp_path)[0]


def test_whoever_has_no_key_takes_the_publishers_signatures(tmp_path: Path) -> None:
    """`image --confirm`: the same command line to the byte, from the published one."""
    release = Release(tmp_path)
    published = tmp_path / "slot.cmdline"
    published.write_text(command_line(tmp_path, UPDATE_KEY=release.private)[0])
    (tmp_path / "usr/lib/linetap").mkdir(parents=True)
    shutil.copy(release.public, tmp_path / "usr/lib/linetap/release.pem")
    theirs = {"UPDATE_CERTIFICATE": release.public, "PUBLISHED_CMDLINE": published}
    assert command_line(tmp_path, **theirs) == (published.read_text(), "")


@pytest.mark.parametrize("change", ["another root", "another key", "one word", "another purpose", "no file", "a byte"])
def test_no_other_words_are_taken(tmp_path: Path, change: str) -> None:
    release = Release(tmp_path)
    published = tmp_path / "slot.cmdline"
    line = command_line(tmp_path, UPDATE_KEY=release.private)[0]
    verity, one, two = line.split()[-3:]
    (tmp_path / "usr/lib/linetap").mkdir(parents=True)
    key = tmp_path / "usr/lib/linetap/release.pem"
    shutil.copy(release.public, key)
    if change == "another key":
        (tmp_path / "another").mkdir()
        shutil.copy(Release(tmp_path / "another").public, key)
    published.write_text(
        {
            "another root": line.replace(ROOT, STRANGE_ROOT),
            "another key": line,
            "one word": f"{verity} {one}\n",
            "another purpose": f"{verity} {one} {two.replace('volume', 'unit-key')}\n",
            "no file": "",
            "a byte": f"{verity} {one} {two[:-4]}AAA=\n",
        }[change]
    )
    if change == "no file":
        published.unlink()
    mine, warnings = command_line(tmp_path, UPDATE_CERTIFICATE=release.public, PUBLISHED_CMDLINE=published)
    assert mine.endswith(f"linetap.verity=100:{ROOT}:aa\n")
    assert "no key in a TPM signs in its boots: " in warnings
    assert str(published) in warnings
