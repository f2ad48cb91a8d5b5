# SPDX-License-Identifier: Apache-2.0
"""`linetap bundle`: its content, its refusals, and its entry in the access log."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

import sealing_rig
from bundle_rig import CHECKER, SAMPLES, SECOND, BundleRig, members, unpacked
from linetap.recorder.vault.callfolder.folder import seal_without_audio
from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing, unitlog
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.records import CallRecord
from linetap_desk.accesslog import access
from linetap_desk.bundle import command
from release_rig import Desk
from sealing_rig import CALL_ID, UNIT, run


def test_everything_and_the_same_bytes_again(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    wav = bundled.opened()
    assert bundled.bundle(*bundled.everything, wav) == 0
    case = bundled.root / "case.zip"
    sha256 = run(["sha256sum", str(case)]).stdout.decode().split()[0]
    assert capsys.readouterr().out == f"{case}: 2 calls, 44 files, SHA-256 {sha256}\n"
    assert stat.S_IMODE(case.stat().st_mode) == 0o600
    os.utime(bundled.call() / "key.age", (0, 0))
    assert bundled.bundle(*bundled.everything, wav, name="again.zip", calls=(SECOND, CALL_ID)) == 0
    assert (bundled.root / "again.zip").read_bytes() == case.read_bytes()
    assert not list(bundled.root.glob(".*.tmp"))
    capsys.readouterr()
    assert bundled.verify(case, "--ca", str(bundled.ca)) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:3] == [f"ok   {CALL_ID}", f"ok   {SECOND}", "ok   bundle case.zip, 44 files"]
    assert out[4].startswith(f"ok   time stamp of {UNIT}, 20")
    assert out[3].startswith("?    not covered, and not to be believed: the case in bundle.json")
    assert out[5:] == ["?    witness: not witnessed (no --policy)", "4 checked, 4 good"]


def test_the_call_folders_and_the_wav_go_in_as_they_are(bundled: BundleRig) -> None:
    assert bundled.bundle(bundled.opened()) == 0
    found = members(bundled.root / "case.zip")
    for call_id in (CALL_ID, SECOND):
        for path in bundled.call(call_id).iterdir():
            assert found[f"calls/{call_id}/{path.name}"] == path.read_bytes()
    assert found[f"opened/{CALL_ID}/call.wav"] == (bundled.root / "call.wav").read_bytes()
    assert len(found[f"opened/{CALL_ID}/call.wav"]) == 44 + 2 * SAMPLES


def test_without_signers_or_ca_it_is_consistent_and_the_answer_is_no(
    bundled: BundleRig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundled.bundle(*bundled.everything) == 0
    capsys.readouterr()
    assert main(["verify", str(bundled.root / "case.zip")]) == 1
    assert capsys.readouterr().out.count("consistent, signer not trusted") == 4
    assert bundled.verify(bundled.root / "case.zip") == 1
    assert capsys.readouterr().out.count("consistent, signer not trusted") == 1  # the time stamp


def test_the_signers_inside_are_not_trusted(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    """A complete bundle by a stranger with a recorder and a made-up name: it is consistent, but not trusted."""
    assert bundled.bundle() == 0
    other = bundled.root / "published"
    other.write_text(f"{UNIT} {keys.public_line(keys.new_unit_key().public_key())}\n")
    capsys.readouterr()
    assert main(["verify", str(bundled.root / "case.zip"), "--signers", str(other)]) == 1
    out = capsys.readouterr().out
    assert out.count("[signer_not_trusted]") == 3
    assert "3 checked, 0 good" in out


def refused(bundled: BundleRig, capsys: pytest.CaptureFixture[str], *more: str, status: int = 1) -> str:
    """The one line of the refusal; asserts that nothing is left behind."""
    capsys.readouterr()
    before = sorted(bundled.root.iterdir())
    assert bundled.bundle(*more) == status
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    assert sorted(bundled.root.iterdir()) == before
    return err


def test_a_call_that_is_damaged(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    part = bundled.call() / "audio.001.age"
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    assert "[wrong_hash]" in refused(bundled, capsys)


def test_a_call_of_another_suite(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    path = bundled.call() / sealed.RECORD
    data = path.read_bytes().replace(b'"linetap-1"', b'"linetap-2"')
    path.write_bytes(data)
    (bundled.call() / sealed.SIGNATURE).write_text(bundled.rig.sign(data))
    assert "is of suite 'linetap-2', this version knows 'linetap-1' alone [suite_unknown]" in refused(bundled, capsys)


def test_a_call_that_its_log_knows_otherwise(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    data = (bundled.call() / sealed.RECORD).read_bytes().replace(b'"line":3', b'"line":4')
    (bundled.call() / sealed.RECORD).write_bytes(data)
    (bundled.call() / sealed.SIGNATURE).write_text(bundled.rig.sign(data))
    assert "[other_record]" in refused(bundled, capsys)


def test_a_log_that_is_damaged_or_not_there(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    leaves = bundled.rig.vault / "log" / LEAVES
    good = leaves.read_bytes()
    leaves.write_bytes(good.replace(b'"start"', b'"stop_"') if b'"start"' in good else good[:-1])
    assert "the log is not in order" in refused(bundled, capsys)
    shutil.rmtree(leaves.parent)
    assert "--log with the vault's expected" in refused(bundled, capsys, status=2)


@dataclass
class Apart:
    """Calls without their log, each with its closing."""

    bundled: BundleRig
    closings: list[str]

    def options(self, *more: str) -> list[str]:
        return [f"--closing={path}" for path in self.closings] + list(more)


@pytest.fixture
def apart(bundled: BundleRig) -> Apart:
    log, found = bundled.rig.log(), []
    for call_id in (CALL_ID, SECOND):
        proof = log.closing(call_id)
        assert proof is not None
        found.append(str(bundled.root / f"{call_id}.json"))
        Path(found[-1]).write_bytes(closing.encode(proof))
    log.close()
    (bundled.rig.vault / "log").rename(bundled.root / "log")
    return Apart(bundled, found)


def test_calls_by_their_closings_are_what_the_log_gives(apart: Apart) -> None:
    bundled = apart.bundled
    assert bundled.bundle(*apart.options()) == 0
    assert bundled.verify(bundled.root / "case.zip") == 0
    assert bundled.bundle(f"--log={bundled.root / 'log'}", name="by-log.zip") == 0
    assert (bundled.root / "case.zip").read_bytes() == (bundled.root / "by-log.zip").read_bytes()


def test_two_calls_under_two_heads(apart: Apart, capsys: pytest.CaptureFixture[str]) -> None:
    bundled = apart.bundled
    (bundled.root / "log").rename(bundled.rig.vault / "log")
    log = bundled.rig.log()
    log.append("heartbeat", at="2026-11-24T23:30:00.000Z")
    proof = log.closing(SECOND)
    log.close()
    assert proof is not None
    Path(apart.closings[1]).write_bytes(closing.encode(proof))
    assert "[two_heads]" in refused(bundled, capsys, *apart.options())
    assert bundled.bundle(*apart.options()[1:], calls=(SECOND,)) == 0


def test_closings_that_do_not_fit(apart: Apart, capsys: pytest.CaptureFixture[str]) -> None:
    bundled, log = apart.bundled, f"--log={apart.bundled.root / 'log'}"
    first, second = apart.options()
    assert "--log with the vault's expected" in refused(bundled, capsys, first, status=2)
    assert "one of each call" in refused(bundled, capsys, first, second, second, status=2)
    strange = bundled.root / "strange.json"
    strange.write_bytes(b"{}")
    assert f"CALL_ID{closing.SUFFIX} expected" in refused(bundled, capsys, f"--closing={strange}", status=2)
    other = bundled.root / "20261124T225900.000Z-L09.json"
    shutil.copy(apart.closings[0], other)
    assert "none of these calls" in refused(bundled, capsys, *apart.options(f"--closing={other}"), status=2)
    assert "No such file" in refused(bundled, capsys, first, f"--closing={bundled.root / SECOND}", status=2)
    shutil.copy(apart.closings[0], apart.closings[1])
    assert "[other_record]" in refused(bundled, capsys, first, second)
    witness = f"--witness={bundled.root / 'heads' / 'closet-3f.json'}"
    for more in ([witness], [f"--stamps={bundled.root / 'stamps'}", f"--tsa-ca={bundled.ca}"]):
        assert "--log with it expected" in refused(bundled, capsys, first, second, *more, status=2)
    assert bundled.bundle(first, second, log, witness) == 0, "where the log is, it is what counts"


def test_some_calls_by_closings_and_some_by_the_log(apart: Apart, capsys: pytest.CaptureFixture[str]) -> None:
    (apart.bundled.root / "log").rename(apart.bundled.rig.vault / "log")
    assert "of some calls of closet-3f only" in refused(apart.bundled, capsys, apart.options()[0], status=2)


def test_a_call_outside_its_vault_with_the_log_named(bundled: BundleRig) -> None:
    moved = bundled.root / CALL_ID
    shutil.copytree(bundled.call(), moved)
    words = ["--signers", str(bundled.rig.signers_file), "-o", str(bundled.root / "case.zip")]
    assert main(["bundle", str(moved), *words]) == 2
    assert main(["bundle", str(moved), *words, "--log", str(bundled.rig.vault / "log")]) == 0


def test_a_call_at_the_top_of_a_medium(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    """Fewer folders deep than in a vault, so that no folder can contain a log."""
    words = ["--signers", str(bundled.rig.signers_file), "-o", str(bundled.root / "case.zip")]
    with tempfile.TemporaryDirectory(dir="/tmp") as medium:
        moved = Path(medium, CALL_ID)
        shutil.copytree(bundled.call(), moved)
        assert main(["bundle", str(moved), *words]) == 2
        assert f"{moved}: /log is no log of its unit: --log with" in capsys.readouterr().err
        assert main(["bundle", str(moved), *words, "--log", str(bundled.rig.vault / "log")]) == 0


def test_heads_that_do_not_cover_the_call(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    later = "20261124T230000.000Z-L05"
    bundled.rig.sealed_call(50, later)
    bundled.rig.publish()
    words = [str(bundled.call(later)), "--signers", str(bundled.rig.signers_file), "-o", str(bundled.root / "x.zip")]
    capsys.readouterr()
    heads, stamps, ca = str(bundled.root / "heads" / f"{UNIT}.json"), str(bundled.root / "stamps"), str(bundled.ca)
    assert main(["bundle", *words, "--witness", heads]) == 1
    assert "[not_under_witness]" in capsys.readouterr().err
    assert main(["bundle", *words, "--stamps", stamps, "--tsa-ca", ca]) == 1
    assert "[not_stamped]" in capsys.readouterr().err
    stamp_another_log(bundled)
    assert main(["bundle", *words, "--stamps", stamps, "--tsa-ca", ca]) == 1
    assert "[not_stamped]" in capsys.readouterr().err
    assert main(["bundle", *words]) == 0


def stamp_another_log(bundled: BundleRig) -> None:
    """Another log of the unit, larger than the one with the calls, has a stamped head too."""
    head = unitlog.decode_head((bundled.rig.vault / "log/head.json").read_bytes())
    data = unitlog.encode_head(msgspec.structs.replace(head, log="00112233aabbccdd", size=9, root="ab" * 32))
    path = bundled.root / "stamps" / f"{UNIT}-000000009.json"
    for suffix, content in {"": data, ".sig": bundled.rig.sign_head(data).encode(), ".tsr": b"a token"}.items():
        Path(f"{path}{suffix}").write_bytes(content)


def test_an_older_witness_and_stamp_are_proven_for_themselves(bundled: BundleRig) -> None:
    bundled.rig.sealed_call(50, "20261124T230000.000Z-L05")
    bundled.rig.publish()
    assert bundled.bundle(*bundled.everything) == 0
    found = members(bundled.root / "case.zip")
    sizes = {kind: json.loads(found[f"logs/{UNIT}/{kind}.json"])["size"] for kind in ("head", "witness", "stamp")}
    assert sizes["head"] > sizes["witness"] == sizes["stamp"]
    assert bundled.verify(bundled.root / "case.zip", "--ca", str(bundled.ca)) == 0


def test_a_wav_that_is_not_this_calls(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    option = bundled.opened()
    wav, whole = bundled.root / "call.wav", bundled.root / "call.json"
    good, said = wav.read_bytes(), json.loads(whole.read_bytes())
    wav.write_bytes(good[:-2])
    assert "is not a WAV of the 900 samples" in refused(bundled, capsys, option)
    wav.write_bytes(good)
    whole.write_text(json.dumps(said))
    assert "not laid out as `linetap open` writes it" in refused(bundled, capsys, option)
    whole.write_text(json.dumps(said | {"ended_by": "power"}, indent=2, ensure_ascii=False) + "\n")
    assert "differs from the signed record" in refused(bundled, capsys, option)
    whole.write_text(json.dumps(said | {"call_id": "20261124T225600.000Z-L09"}))
    assert "[other_call]" in refused(bundled, capsys, option)
    whole.unlink()
    assert "call.json" in refused(bundled, capsys, option, status=2)


def test_what_others_have_not_signed(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    signature = bundled.root / "holds" / CALL_ID / "hold.json.sig"
    kept = signature.read_bytes()
    signature.unlink()
    assert "hold.json.sig" in refused(bundled, capsys, *bundled.everything, status=2)
    signature.write_bytes(kept)
    lines = bundled.rig.signers_file.read_text().splitlines(keepends=True)
    bundled.rig.signers_file.write_text("".join(line for line in lines if not line.startswith("officer")))
    assert "no signer is named for it" in refused(bundled, capsys, *bundled.everything)


def test_a_hold_in_a_folder_of_another_name(bundled: BundleRig) -> None:
    """The pages name it after the hold. One of another call in the folder of this call's name is not this call's."""
    holds = bundled.root / "holds"
    (holds / CALL_ID).rename(holds / "H2026-0001")
    (holds / CALL_ID).mkdir()
    own = json.loads((holds / "H2026-0001" / "hold.json").read_bytes())
    (holds / CALL_ID / "hold.json").write_text(json.dumps(own | {"record_sha256": "0" * 64}))
    assert bundled.bundle(f"--holds={holds}") == 0
    found = members(bundled.root / "case.zip")
    assert found[f"holds/{CALL_ID}/hold.json"] == (holds / "H2026-0001" / "hold.json").read_bytes()


def test_usage(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bundle", str(bundled.call()), "-o", str(bundled.root / "case.zip")])
    assert ended.value.code == 2
    capsys.readouterr()
    for more in (["--stamps", str(bundled.root / "stamps")], ["--holds", "/nowhere"], ["--case", "a\nb"]):
        refused(bundled, capsys, *more, status=2)
    (bundled.root / "case.zip").write_bytes(b"mine")
    assert "exists and is not overwritten" in refused(bundled, capsys, status=2)
    assert (bundled.root / "case.zip").read_bytes() == b"mine"
    assert bundled.bundle(calls=(CALL_ID, CALL_ID), name="x.zip") == 2


def test_two_units_and_a_call_without_a_recording(
    bundled: BundleRig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missed = CallRecord(call_id="20261124T231500.000Z-L01", unit="closet-4f", line=1, disposition="missed")
    monkeypatch.setattr(sealing_rig, "UNIT", missed.unit)
    (bundled.root / "other").mkdir()
    other = sealing_rig.Rig.make(bundled.root / "other")
    seal_without_audio(other.vault, missed, other.sign)
    other.publish()
    with bundled.rig.signers_file.open("a") as file:
        file.write(other.signers_file.read_text())
    words = ["--signers", str(bundled.rig.signers_file), "-o", str(bundled.root / "case.zip")]
    calls = [str(bundled.call()), str(other.vault / sealed.call_path(missed.call_id))]
    witness = f"--witness={bundled.root / 'heads' / 'closet-3f.json'}"
    assert main(["bundle", *calls, *words, witness]) == 0
    assert {name.split("/")[1] for name in members(bundled.root / "case.zip") if name.startswith("logs/")} == {
        "closet-3f",
        "closet-4f",
    }
    assert bundled.verify(bundled.root / "case.zip") == 0
    assert bundled.verify(bundled.root / "case.zip", "--ca", str(bundled.ca)) == 2
    assert "--ca: there is no time stamp in case.zip" in capsys.readouterr().err
    case = unpacked(bundled.root / "case.zip", bundled.root / "case")
    assert run(["bash", str(CHECKER), str(case), str(bundled.rig.signers_file)]).returncode == 0
    assert main(["bundle", calls[1], *words[:2], "-o", str(bundled.root / "x.zip"), witness]) == 2


def test_a_name_that_is_taken_meanwhile(bundled: BundleRig, monkeypatch: pytest.MonkeyPatch) -> None:
    case = bundled.root / "case.zip"
    monkeypatch.setattr(command, "_require_good", lambda *_: case.write_bytes(b"mine"))
    assert bundled.bundle() == 2
    assert case.read_bytes() == b"mine"
    assert not list(bundled.root.glob(".*.tmp"))


def test_the_step_stands_in_the_access_log_before_the_file(desk: Desk) -> None:
    desk.rig.publish()
    words = ["--signers", str(desk.rig.signers_file), "--case", "2026-117", "--desk", str(desk.folder)]
    output = desk.root / "case.zip"
    assert main(["bundle", str(desk.call), str(desk.other), *words, "-o", str(output)]) == 0
    entry = desk.log()[-1]
    assert (entry.verb, entry.outcome, entry.case) == ("bundle", "granted", "2026-117")
    assert entry.calls == sorted([desk.call.name, desk.other.name])
    assert entry.lines == [3]
    (desk.call / "key.age").write_bytes(b"")
    assert main(["bundle", str(desk.call), *words, "-o", str(desk.root / "two.zip")]) == 1
    assert (desk.log()[-1].outcome, desk.log()[-1].code) == ("refused", "wrong_hash")
    assert not (desk.root / "two.zip").exists()


def test_no_file_where_the_step_cannot_be_written_down(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.rig.publish()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(access.AccessLog, "append", full)
    words = ["--signers", str(desk.rig.signers_file), "--desk", str(desk.folder), "-o", str(desk.root / "case.zip")]
    assert main(["bundle", str(desk.call), *words]) == 2
    assert not list(Path(desk.root).glob("*.zip"))
