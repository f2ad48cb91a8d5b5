# SPDX-License-Identifier: Apache-2.0
"""`linetap verify` of a bundle: every byte matters, no trick of the zip format works, and its parts belong together
even if the sums were recomputed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import itertools
import json
import os
import random
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bundle_rig import SECOND, BundleRig, members, pack, stamped
from linetap_core.cli import main
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_desk.bundle import container, facts, report
from linetap_desk.bundle.check import verify_bundle
from linetap_desk.proofs import callfolder
from sealing_rig import CALL_ID, TIMEOUT_S, UNIT
from small_disk import unshare

EVERY = 307  # bytes of data between two that are flipped
LOG = f"logs/{UNIT}"


@pytest.fixture(scope="module")
def whole(made_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with everything in it, and its signers beside it."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("whole")
        patch.setenv("HOME", str(root / "home"))
        bundled = BundleRig.at(made_bundle)
        wav = bundled.opened()
        words = ["--signers", str(bundled.rig.signers_file), "-o", str(root / "case.zip")]
        calls = [str(bundled.call()), str(bundled.call(SECOND))]
        assert main(["bundle", *calls, *words, *bundled.everything, wav]) == 0
        for path in bundled.root.glob("call.*"):
            path.rename(root / path.name)
        (root / "allowed_signers").write_bytes(bundled.rig.signers_file.read_bytes())
        (root / "tsa-ca.pem").write_bytes(bundled.ca.read_bytes())
    return root


def signers(whole: Path) -> list[Signer]:
    return callfolder.load_signers(whole / "allowed_signers")


def codes(whole: Path, path: Path) -> list[str]:
    verdicts = list(verify_bundle(path, signers(whole), whole / "tsa-ca.pem"))
    found = [problem.code for verdict in verdicts for problem in verdict.problems]
    assert bool(found) != all(verdict.good for verdict in verdicts)
    return found


def frame(path: Path) -> set[int]:
    """Every position in the file outside members' data."""
    with path.open("rb") as file:
        inside = {at for m in container.read(file) for at in range(m.offset, m.offset + m.size)}
    return set(range(path.stat().st_size)) - inside


def flipped(good: bytes, at: int) -> bytes:
    return good[:at] + bytes([good[at] ^ 1 << random.Random(at).randrange(8)]) + good[at + 1 :]


def test_every_byte_of_the_frame_matters(whole: Path, tmp_path: Path) -> None:
    good = (whole / "case.zip").read_bytes()
    places = frame(whole / "case.zip")
    assert len(places) > 5000
    changed = tmp_path / "case.zip"
    changed.write_bytes(good)
    with changed.open("r+b", buffering=0) as file:
        for at in sorted(places):
            for data in (flipped(good, at)[at : at + 1], good[at : at + 1]):
                file.seek(at)
                file.write(data)
                with contextlib.nullcontext() if data == good[at : at + 1] else pytest.raises(container.BadBundle):
                    container.read(file)


def test_every_byte_of_the_members_matters(whole: Path, tmp_path: Path) -> None:
    good = (whole / "case.zip").read_bytes()
    changed = tmp_path / "case.zip"
    for at in sorted(set(range(0, len(good), EVERY)) - frame(whole / "case.zip")):
        changed.write_bytes(flipped(good, at))
        assert codes(whole, changed), f"byte {at}"
    changed.write_bytes(good)
    assert codes(whole, changed) == []


@pytest.mark.parametrize("cut", [0, 1, 21, 22, 1000])
def test_cut_and_lengthened(whole: Path, tmp_path: Path, cut: int) -> None:
    good = (whole / "case.zip").read_bytes()
    for number, data in enumerate([good[: len(good) - cut - 1], good + b"x" * (cut + 1), b"x" * (cut + 1) + good]):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        assert codes(whole, path), number


def test_an_unpacked_bundle(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(whole / "case.zip") as bundle:
        bundle.extractall(tmp_path)
    assert main(["verify", str(tmp_path)]) == 2
    assert "an unpacked bundle; its zip expected" in capsys.readouterr().err


AS_HANDED_OVER = "the zip as it was handed over expected"


def _zip_in_a_folder(good: Path, place: Path) -> tuple[Path, str]:
    (place / "__MACOSX").mkdir()
    (place / "__MACOSX" / "._case.zip").write_bytes(b"\0\5\26\7")
    (place / "case.zip").write_bytes(good.read_bytes())
    return place, f"{place / 'case.zip'} is a bundle: name it"


def _one_deeper(good: Path, place: Path) -> tuple[Path, str]:
    inner = place / "사건 2026-117 (1)"
    zipfile.ZipFile(good).extractall(inner)
    (place / "__MACOSX").mkdir()
    (inner / ".DS_Store").write_bytes(b"x")
    return place, f"{inner}: an unpacked bundle; its zip expected"


def _backslashes(good: Path, place: Path) -> tuple[Path, str]:
    """A program took them for part of a name."""
    with zipfile.ZipFile(good) as bundle:
        for name in bundle.namelist():
            (place / name.replace("/", "\\")).write_bytes(bundle.read(name))
    return place, "unpacked with \\ in the names; its zip expected"


def _a_part(good: Path, place: Path) -> tuple[Path, str]:
    zipfile.ZipFile(good).extractall(place)
    return place / "calls", f"{place}: an unpacked bundle; its zip expected"


def _packed_again(good: Path, place: Path) -> tuple[Path, str]:
    """A Mac's "Compress" of the unpacked folder."""
    with zipfile.ZipFile(good) as bundle, zipfile.ZipFile(place / "again.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for name in bundle.namelist():
            made.writestr(f"case/{name}", bundle.read(name))
            made.writestr(f"__MACOSX/case/{name}", b"see case.zip")
    return place / "again.zip", AS_HANDED_OVER


def _zip_in_a_zip(good: Path, place: Path) -> tuple[Path, str]:
    with zipfile.ZipFile(place / "mail.zip", "w") as made:
        made.write(good, "첨부/case.zip")
    return place / "mail.zip", "a zip in it: unpack this one, and name that"


def _cut_off(good: Path, place: Path) -> tuple[Path, str]:
    (place / "case.zip").write_bytes(good.read_bytes()[:-5000])
    return place / "case.zip", AS_HANDED_OVER


def _nothing(_: Path, place: Path) -> tuple[Path, str]:
    (place / "a.zip").write_bytes(b"x")
    return place, "there is no call in it"


LAYOUTS = (_zip_in_a_folder, _one_deeper, _backslashes, _a_part, _packed_again, _zip_in_a_zip, _cut_off, _nothing)


@pytest.mark.parametrize("laid", LAYOUTS, ids=lambda laid: laid.__name__.strip("_"))
def test_each_layout_of_a_recipient_is_told_what_to_do(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], laid: Callable[[Path, Path], tuple[Path, str]]
) -> None:
    path, told = laid(whole / "case.zip", tmp_path)
    assert main(["verify", str(path), "--signers", str(whole / "allowed_signers")]) in (1, 2)
    said = capsys.readouterr()
    assert told in said.out + said.err


@pytest.mark.parametrize("name", ["case (1).zip", "사건.ZIP", "case.zip.download", "case"])
def test_a_renamed_zip_is_verified(whole: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes((whole / "case.zip").read_bytes())
    assert main(["verify", str(tmp_path / name), "--signers", str(whole / "allowed_signers")]) in (0, 1)


def test_what_is_no_zip(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for data in (b"", b"hello", b"PK\x05\x06" + bytes(18), b"PK\x05\x06" + b"\xff" * 18, bytes(1 << 20)):
        path = tmp_path / "case.zip"
        path.write_bytes(data)
        assert main(["verify", str(path), "--signers", str(whole / "allowed_signers")]) == 1
        out = capsys.readouterr().out.splitlines()
        assert len(out) == 2
        assert out[0].startswith("BAD  bundle case.zip: ")


def ours(name: str) -> zipfile.ZipInfo:
    """An entry of the stock library in a bundle's form."""
    info = zipfile.ZipInfo(name)
    info.create_version, info.external_attr = 20, 0o100644 << 16
    return info


def stored(path: Path, found: dict[str, bytes], change: Callable[[zipfile.ZipFile], None]) -> Path:
    """A zip by the stock library: our own bytes, except for the effect of `change`."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as file:
        warnings.simplefilter("ignore")
        for name in sorted(found):
            file.writestr(ours(name), found[name])
        change(file)
    return path


def link(file: zipfile.ZipFile) -> None:
    info = ours("zz")
    info.external_attr = 0o120777 << 16
    file.writestr(info, "/etc/passwd")


def extra(file: zipfile.ZipFile) -> None:
    info = ours("zz")
    info.extra = b"\x99\x99\x00\x00"
    file.writestr(info, b"x")


TRICKS: dict[str, Callable[[zipfile.ZipFile], None]] = {
    "absolute": lambda file: file.writestr(ours("/tmp/linetap-escaped"), b"x"),
    "upwards": lambda file: file.writestr(ours("../linetap-escaped"), b"x"),
    "upwards within": lambda file: file.writestr(ours("calls/../../linetap-escaped"), b"x"),
    "twice": lambda file: file.writestr(ours("signers"), b"x"),
    "folder": lambda file: file.writestr(ours("zz/"), b""),
    "hidden": lambda file: file.writestr(ours(".zz"), b"x"),
    "backslash": lambda file: file.writestr(ours("zz\\zz"), b"x"),
    "a device of Windows": lambda file: file.writestr(ours("zz/nul.txt"), b"x"),
    "a device in capitals": lambda file: file.writestr(ours("zz/CON"), b"x"),
    "a trailing dot": lambda file: file.writestr(ours("zz."), b"x"),
    "a drive": lambda file: file.writestr(ours("z:zz"), b"x"),
    "link": link,
    "extra field": extra,
    "comment": lambda file: setattr(file, "comment", b"hello"),
}


def test_without_a_trick_the_stock_library_makes_our_bytes(whole: Path, tmp_path: Path) -> None:
    path = stored(tmp_path / "case.zip", members(whole / "case.zip"), lambda _: None)
    assert path.read_bytes() == (whole / "case.zip").read_bytes()


CODES = {"twice": "zip_order", "link": "zip_frame", "extra field": "zip_frame", "comment": "not_a_bundle"}


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_of_the_format(whole: Path, tmp_path: Path, trick: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    code = codes(whole, stored(folder / "case.zip", members(whole / "case.zip"), TRICKS[trick]))
    assert code == [CODES.get(trick, "zip_name")]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["case.zip", "in"]


def test_a_bomb_is_not_unpacked(whole: Path, tmp_path: Path) -> None:
    def bomb(file: zipfile.ZipFile) -> None:
        file.writestr(ours("zz"), bytes(50 << 20), compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)

    path = stored(tmp_path / "case.zip", members(whole / "case.zip"), bomb)
    assert path.stat().st_size < 1 << 20
    assert codes(whole, path) == ["zip_frame"]


@pytest.mark.parametrize("code", ["zip_order", "zip_checksum"])
def test_a_frame_that_is_ours_over_members_that_are_not(whole: Path, tmp_path: Path, code: str) -> None:
    """Repeated, in another order, or with a checksum that is wrong in both places."""
    found: dict[str, container.Source] = dict(members(whole / "case.zip"))
    good = [container.measure(name, found[name]) for name in sorted(found)]
    wrong = dataclasses.replace(good[-1], crc=good[-1].crc ^ 1)
    lists = {"zip_order": [[*good, good[-1]], good[::-1]], "zip_checksum": [[*good[:-1], wrong]]}
    for listed in lists[code]:
        buffer = io.BytesIO()
        container.write(buffer, found, listed)
        (tmp_path / "case.zip").write_bytes(buffer.getvalue())
        assert codes(whole, tmp_path / "case.zip") == [code]


def test_a_full_folder_for_temporary_files_is_named(whole: Path, tmp_path: Path) -> None:
    """It is no verdict on the bundle, and not the zip's own folder."""
    command = unshare()
    if command is None:
        pytest.skip("neither root nor a user namespace: no file system can be mounted to be filled")
    mount = 'mount -t tmpfs -o size=24k full "$TMPDIR" && exec "$1" verify "$2" --signers "$3"'
    words = [Path(sys.executable).with_name("linetap"), whole / "case.zip", whole / "allowed_signers"]
    done = subprocess.run(
        [*command, "sh", "-c", mount, "sh", *map(str, words)],
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, capture_output=True, text=True,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{tmp_path}: No space left on device; a bundle is unpacked there to be verified" in done.stderr


def test_a_medium_that_cannot_be_read_is_named(whole: Path) -> None:
    """A scratched disc is no forged bundle."""

    class Scratched(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() < 1000:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(size)

    with Scratched(whole / "case.zip") as file, pytest.raises(BadInput, match=r"case\.zip: Input/output error"):
        container.read(file)


def test_more_than_a_zip_can_count() -> None:
    for listed in ([container.Member("a", 1 << 32, 0)], [container.Member("a", 0, 0)] * (container.MOST_MEMBERS + 1)):
        with pytest.raises(container.BadBundle, match="fewer calls"):
            container.write(io.BytesIO(), {"a": b""}, listed)


def test_the_proof_of_another_call(whole: Path, tmp_path: Path) -> None:
    """Leaf and paths match each other and the head, but belong to the other call."""
    found = members(whole / "case.zip")
    there = {name: name.replace(SECOND, CALL_ID) for name in found if name.startswith(LOG) and SECOND in name}
    assert len(there) == 4
    path = pack(tmp_path / "case.zip", found | {mine: found[other] for other, mine in there.items()})
    assert codes(whole, path) == ["other_record"]


def test_the_hold_of_another_call(whole: Path, tmp_path: Path) -> None:
    found = members(whole / "case.zip")
    for name in ("hold.json", "hold.json.sig"):
        found[f"holds/{SECOND}/{name}"] = found[f"holds/{CALL_ID}/{name}"]
    assert codes(whole, pack(tmp_path / "case.zip", found)) == ["other_call"]


def test_the_certificate_of_another_day(whole: Path, made_bundle: Path, tmp_path: Path) -> None:
    found = members(whole / "case.zip")
    name = "certificates/2027-11-24.destroyed.json"
    data = found[name].replace(b'"epoch":"2027-11-24"', b'"epoch":"2027-11-23"')
    assert data != found[name]
    signature = sshsig.sign(data, BundleRig.at(made_bundle).key("officer"), namespaces.CERTIFICATE).encode()
    path = pack(tmp_path / "case.zip", found | {name: data, name + ".sig": signature})
    assert codes(whole, path) == ["other_epoch"]


def test_our_own_spelling_by_hand_is_taken(whole: Path, tmp_path: Path) -> None:
    """`pack` gives the same bytes as the command: the tests below change only a member."""
    path = pack(tmp_path / "case.zip", members(whole / "case.zip"))
    assert path.read_bytes() == (whole / "case.zip").read_bytes()


def test_every_member_removed(whole: Path, tmp_path: Path) -> None:
    """With the old sums, and with recomputed ones."""
    found = members(whole / "case.zip")
    for name in sorted(found.keys() - {"SHA256SUMS"}):
        left = {other: data for other, data in found.items() if other != name}
        assert codes(whole, pack(tmp_path / "a.zip", left, sums=False)) == ["sums"], name
        assert codes(whole, pack(tmp_path / "b.zip", left)), name


def test_every_member_changed_with_sums_that_fit(whole: Path, tmp_path: Path) -> None:
    found = members(whole / "case.zip")
    for name in sorted(found.keys() - {"SHA256SUMS"}):
        for changed in (found[name][:-1], found[name] + b"\n"):
            assert codes(whole, pack(tmp_path / "case.zip", found | {name: changed})), name


def test_every_member_swapped_for_its_neighbour(whole: Path, tmp_path: Path) -> None:
    found = members(whole / "case.zip")
    names = sorted(found.keys() - {"SHA256SUMS"})
    same = 0
    for one, other in itertools.pairwise(names):
        if found[one] == found[other]:
            same += 1
            continue
        swapped = found | {one: found[other], other: found[one]}
        assert codes(whole, pack(tmp_path / "case.zip", swapped)), (one, other)
    assert same <= 4  # heads of one moment


@pytest.mark.parametrize(
    "name",
    ["note.txt", f"{LOG}/other.json", f"calls/{CALL_ID}/note", f"opened/{SECOND}/x", "calls/x/y", "holds/x", "README"],
)
def test_a_member_that_does_not_belong(whole: Path, tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "case.zip", members(whole / "case.zip") | {name: b"x"})
    assert set(codes(whole, path)) & {"extra_member", "extra_file", "missing_member"}


def test_a_name_that_is_a_file_and_a_folder(whole: Path, tmp_path: Path) -> None:
    path = pack(tmp_path / "case.zip", members(whole / "case.zip") | {"signers/x": b"x"})
    assert codes(whole, path) == ["zip_name"]


def test_two_names_that_windows_takes_for_one(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call ids may differ in the case of their suffix: unpacked there, one record would replace the other."""
    more = {f"calls/{CALL_ID}-{case}/record.json": b"{}" for case in "aA"}
    with monkeypatch.context() as patch:
        patch.setattr(container, "_require_apart", lambda _: None)
        path = pack(tmp_path / "case.zip", members(whole / "case.zip") | more)
    assert codes(whole, path) == ["zip_name"]
    with pytest.raises(container.BadBundle, match="the same file as"):
        pack(tmp_path / "case.zip", members(whole / "case.zip") | more)


def test_a_report_that_says_something_else(whole: Path, tmp_path: Path) -> None:
    found = members(whole / "case.zip")
    for name, old, new in (
        ("report.en.html", b"incoming", b"outgoing"),
        ("report.ko.html", "수신".encode(), "발신".encode()),
    ):
        assert old in found[name]
        path = pack(tmp_path / "case.zip", found | {name: found[name].replace(old, new)})
        assert codes(whole, path) == ["report"], name


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": 99}, "bundle_format"),
        ({"format": 3}, "bundle_format"),
        ({"texts": 99}, "other_texts"),
        ({"checker": 99}, "other_texts"),
        ({"more": 1}, "not_a_bundle"),
    ],
)
def test_a_bundle_of_another_version(whole: Path, tmp_path: Path, change: dict[str, int], code: str) -> None:
    found = members(whole / "case.zip")
    about = json.loads(found["bundle.json"]) | change
    text = json.dumps(about, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert codes(whole, pack(tmp_path / "case.zip", found | {"bundle.json": text})) == [code]


def test_a_time_stamp_whose_authority_has_ended_is_not_the_bundles_fault(whole: Path, tmp_path: Path) -> None:
    """Years later signatures, log and reports hold as before; that verdict alone is bad."""
    head = f"{LOG}/stamp.json"
    found = members(whole / "case.zip")
    (tmp_path / "head.json").write_bytes(found[head])
    token, ca = stamped(tmp_path / "head.json", ended=True)
    found |= {f"{head}.tsr": token, f"{LOG}/tsa-ca.pem": ca}
    found |= report.derived(found, facts.load(found))
    (tmp_path / "ca.pem").write_bytes(ca)
    verdicts = list(verify_bundle(pack(tmp_path / "case.zip", found), signers(whole), tmp_path / "ca.pem"))
    lines = [line for verdict in verdicts for line in verdict.lines()]
    assert [line for line in lines if line.startswith("BAD")] == [next(line for line in lines if "has expired" in line)]
    assert any(line.startswith(f"BAD  time stamp of {UNIT}") for line in lines)
    assert any(line.startswith("ok   bundle") for line in lines)
    assert lines[-1].startswith("?    witness")


def test_what_a_time_stamp_is_asked_for(whole: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The bundle's own CA is not trusted; another's does not match."""
    words = ["verify", str(whole / "case.zip"), "--signers", str(whole / "allowed_signers")]
    assert main(words) == 1
    other = tmp_path / "other.pem"
    other.write_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    assert main([*words, "--ca", str(other)]) == 1
    assert f"BAD  time stamp of {UNIT}: openssl ts" in capsys.readouterr().out
    assert main([*words, "--witness", str(other)]) == 2
    assert main(["verify", str(tmp_path), "--ca", str(other)]) == 2
