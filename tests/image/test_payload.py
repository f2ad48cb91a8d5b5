# SPDX-License-Identifier: Apache-2.0
"""Updates without their signature: stock RAUC signs, and image/payload.py compares the signed part."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from contents_rig import IMAGE

from slots_rig import LIMIT_S, Signer, make_bundle, skip_reason

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))


def payload(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(IMAGE / "payload.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """One root as a version, built by two signers in two folders, at two times and under two masks; then as another."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first = make_bundle(tmp_path, "0.2.0", Signer.new(tmp_path, "first"))
    bundles = [first]
    for name, version, mask in (("second", "0.2.0", "077"), ("third", "0.3.0", "022")):
        folder = tmp_path / name
        folder.mkdir()
        signer = Signer.new(folder, name)
        for file in ("slot.img", "slot.cmdline", "config.txt"):
            shutil.copy(tmp_path / file, folder)  # as if made now
        bundles.append(folder / f"linetap-{version}.raucb")
        words = [IMAGE / "bundle.sh", version, *(folder / file for file in ("slot.img", "slot.cmdline", "config.txt"))]
        words += [bundles[-1], signer.certificate, signer.key]
        command = ["sh", "-c", f'umask {mask}; exec "$@"', "sh", *map(str, words)]
        subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=True)
    return bundles


def test_two_builds_of_a_version_differ_in_their_signature_alone(built: list[Path]) -> None:
    first, second, third = built
    assert first.read_bytes() != second.read_bytes()
    done = payload("same", first, second)
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "the same")
    done = payload("same", first, third)
    assert (done.returncode, done.stdout.partition(":")[0]) == (1, "not the same")


def test_a_published_signature_joined_to_ones_own_build_is_the_published_file(
    built: list[Path], tmp_path: Path
) -> None:
    published, own, _ = built
    assert payload("split", published, tmp_path / "theirs", tmp_path / "signature").returncode == 0
    assert payload("split", own, tmp_path / "ours", tmp_path / "unused").returncode == 0
    assert payload("join", tmp_path / "ours", tmp_path / "signature", tmp_path / "joined.raucb").returncode == 0
    assert (tmp_path / "joined.raucb").read_bytes() == published.read_bytes()


def test_the_payload_is_what_openssl_says_was_signed(built: list[Path], tmp_path: Path) -> None:
    """Without RAUC: the separated signature covers the payload and nothing else."""
    bundle = built[0]
    assert payload("split", bundle, tmp_path / "payload", tmp_path / "signature").returncode == 0
    certificate = bundle.parent / "first.pem"
    words = ["openssl", "cms", "-verify", "-inform", "DER", "-in", tmp_path / "signature", "-binary"]
    words += ["-content", tmp_path / "payload", "-CAfile", certificate, "-purpose", "any", "-out", tmp_path / "out"]
    command = [str(word) for word in words]
    assert subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False).returncode == 0
    data = bytearray((tmp_path / "payload").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "payload").write_bytes(data)
    assert subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False).returncode != 0


@pytest.mark.parametrize("content", [b"", b"hsqs", b"hsqs" + bytes(100), b"hsqs" + b"\xff" * 100, b"\0" * 200])
def test_what_is_no_bundle_is_one_line(tmp_path: Path, content: bytes) -> None:
    bundle = tmp_path / "x.raucb"
    bundle.write_bytes(content)
    done = payload("hash", bundle)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"payload: {bundle}: ")
