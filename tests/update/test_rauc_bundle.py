# SPDX-License-Identifier: Apache-2.0
"""Bundles as made and as inspected by a unit, with stock RAUC: untrusted ones are reported in one line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from boot_rig import IMAGE, SCRIPT
from linetap.update.judge import require_fit
from linetap.update.rauc import Info, Rauc
from linetap.update.state import UpdateFault
from slots_rig import LIMIT_S, Signer, make_bundle, skip_reason, system_conf

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))


@pytest.fixture(scope="module", params=["plain", "verity"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle of ours, its signer and another signer."""
    folder = tmp_path_factory.mktemp("bundles")
    make_bundle(folder, "0.2.0", Signer.new(folder, "ours"), request.param)
    (folder / "system.conf").write_text(system_conf(folder / "ours.pem", folder, folder, SCRIPT))
    return folder


@pytest.fixture
def ours(request: pytest.FixtureRequest) -> Info:
    return Info("linetap", "0.2.0", request.node.callspec.params["place"])


@pytest.fixture
def bundle(place: Path) -> Path:
    return place / "linetap-0.2.0.raucb"


@pytest.fixture
def rauc(place: Path) -> Rauc:
    return Rauc(str(SCRIPT), ("--conf", str(place / "system.conf")))


def fault(rauc: Rauc, bundle: Path) -> UpdateFault:
    with pytest.raises(UpdateFault) as raised:
        require_fit(rauc.info(bundle), "0.1.0", "0.2.0")
    assert "\n" not in str(raised.value)
    return raised.value


def test_our_own_bundle_is_accepted(rauc: Rauc, bundle: Path, ours: Info) -> None:
    info = rauc.info(bundle)
    assert info == ours
    require_fit(info, "0.1.0", "0.2.0")


def test_its_content_is_the_root_what_starts_it_and_the_hook(bundle: Path, place: Path, tmp_path: Path) -> None:
    words = ["rauc", "extract", "--keyring", str(place / "ours.pem"), str(bundle), str(tmp_path / "content")]
    subprocess.run(words, check=True, capture_output=True, timeout=LIMIT_S)
    found = {path.name: path for path in (tmp_path / "content").iterdir()}
    assert found.keys() == {"root.img", "cmdline.txt", "config.txt", "hook.sh", "bootfiles", "manifest.raucm"}
    assert found["root.img"].read_bytes() == (place / "slot.img").read_bytes()
    assert found["hook.sh"].read_bytes() == (IMAGE / "hook.sh").read_bytes()
    assert found["hook.sh"].stat().st_mode & 0o111


def test_another_signature_is_not_trusted(rauc: Rauc, tmp_path: Path) -> None:
    stranger = make_bundle(tmp_path, "0.2.0", Signer.new(tmp_path, "stranger"))
    assert fault(rauc, stranger).code == "update_signature"


@pytest.mark.parametrize("keep", [0, 1, 100, 5000, -1, -100])
def test_cut_short_it_is_none(rauc: Rauc, bundle: Path, tmp_path: Path, keep: int) -> None:
    cut = tmp_path / bundle.name
    cut.write_bytes(bundle.read_bytes()[:keep])
    assert fault(rauc, cut).code == "update_signature"


def test_a_changed_word_of_its_manifest_is_found(rauc: Rauc, bundle: Path, tmp_path: Path) -> None:
    data, changed = bytearray(bundle.read_bytes()), tmp_path / bundle.name
    found = data.rfind(b"version=0.2.0")
    data[found if found >= 0 else len(data) // 2] ^= 1  # a plain one is signed as a whole, with its manifest inside
    changed.write_bytes(data)
    assert fault(rauc, changed).code == "update_signature"


def test_what_is_no_bundle_is_none(rauc: Rauc, tmp_path: Path) -> None:
    for name, data in (("empty", b""), ("zeros", bytes(100_000)), ("text", b"linetap " * 10_000)):
        (tmp_path / f"{name}.raucb").write_bytes(data)
        assert fault(rauc, tmp_path / f"{name}.raucb").code == "update_signature"
    assert fault(rauc, tmp_path / "nothing.raucb").code == "update_signature"


def test_another_product_and_an_older_version_are_said_to_be_that(rauc: Rauc, place: Path, tmp_path: Path) -> None:
    ours = Signer(place / "ours.pem", place / "ours.key")
    toaster = make_bundle(tmp_path, "0.2.0", ours, compatible="toaster")
    assert fault(rauc, toaster).code == "update_other_product"
    older = rauc.info(make_bundle(tmp_path, "0.0.9", ours))
    with pytest.raises(UpdateFault, match="older") as raised:
        require_fit(older, "0.1.0")
    assert raised.value.code == "update_older"


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_is_a_year_off_keeps_no_update_away(
    rauc: Rauc, bundle: Path, ours: Info, days: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is valid for 30 days: the time of signing counts."""
    shim = tmp_path / "otherday.so"
    source = Path(__file__).with_name("otherday.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, source], check=True, timeout=LIMIT_S)
    monkeypatch.setenv("OTHERDAY_S", str(days * 86_400))
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    assert rauc.info(bundle) == ours
    text = (bundle.parent / "system.conf").read_text().replace("use-bundle-signing-time=true", "")
    (tmp_path / "system.conf").write_text(text)
    strict = Rauc(str(SCRIPT), ("--conf", str(tmp_path / "system.conf")))
    assert fault(strict, bundle).code == "update_signature", "the clock is off, or this shows nothing"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("0.2 slot.img slot.cmdline config.txt out", "is no version"),
        ("0.2.0 nothing slot.cmdline config.txt out", "nothing: there is nothing there"),
        ("0.2.0 slot.img slot.cmdline empty out", "empty: there is nothing there"),
        ("0.2.0 slot.img slot.cmdline slot.cmdline out", "os_prefix=@SLOT@/"),
        ("0.2.0 slot.img config.txt config.txt out", "more than one line"),
        ("0.2.0 slot.img slot.cmdline config.txt", "usage"),
        ("0.2.0 slot.img slot.cmdline config.txt slot.img", "already"),
    ],
)
def test_what_cannot_be_bundled_is_reported_in_one_line(words: str, named: str, place: Path, tmp_path: Path) -> None:
    for name in ("slot.img", "slot.cmdline", "config.txt"):
        shutil.copy(place / name, tmp_path)
    (tmp_path / "empty").touch()
    command = [str(IMAGE / "bundle.sh"), *words.split(), str(place / "ours.pem"), str(place / "ours.key")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 2
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1
