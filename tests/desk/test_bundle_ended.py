# SPDX-License-Identifier: Apache-2.0
"""A bundle of a call that was ended: the log's leaf about it is included, and both checkers compare it with
the record.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_bundle_report import fixed, pinned

from bundle_rig import CHECKER, SECOND, BundleRig, members, pack, unpacked
from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.closing import Closing
from linetap_core.records import CallRecord, EndRecord, NoticeRecord
from linetap_desk.bundle import facts, layout, recipe, report
from linetap_desk.bundle.check import verify_bundle
from linetap_desk.proofs import callfolder
from linetap_desk.unsealing import callproof
from sealing_rig import CALL_ID, TIMEOUT_S, UNIT, Rig, noise, record, run

NOTICE = NoticeRecord(
    id="end-abuse", started_at="2026-11-24T22:56:30.300Z", ended_at="2026-11-24T22:56:41.500Z", proof="full", score=1.0
)
END = EndRecord(
    situation="abuse", by="code", code_at="2026-11-24T22:56:30.000Z", notice=NOTICE,
    released_at="2026-11-24T22:56:42.000Z", seen_by="dial_tone",
)  # fmt: skip
LEAF, PATH = layout.end(UNIT, CALL_ID), layout.end_path(UNIT, layout.HEAD, CALL_ID)
PINNED = "8d4adc955ced28456c3e9622d0d5630104cd13aa41499d935bcbf9170a3aa707"  # as in test_bundle_report.py


def ended_record(**changes: Any) -> CallRecord:
    whole = {"end": END, "ended_at": END.released_at, "ended_by": "released", **changes}
    return msgspec.structs.replace(record(200), **whole)


@pytest.fixture
def ended(tmp_path: Path) -> BundleRig:
    """An ended call, and another that was not."""
    rig = Rig.make(tmp_path)
    rig.publish()
    folder = rig.create(CALL_ID)
    folder.write(noise(200))
    folder.seal(ended_record(), rig.sign)
    rig.sealed_call(100, SECOND)
    log = rig.log()
    log.close_call(CALL_ID)
    log.close_call(SECOND)
    log.publish()
    log.close()
    return BundleRig.at(tmp_path)


SEEN = [
    ("dial_tone", "code"), ("busy_tone", "time"), ("idle_voltage", "code"), ("staff", "time"), ("none", "code")
]  # fmt: skip


def reworded(leaf: bytes, **words: str) -> bytes:
    return json.dumps(json.loads(leaf) | words, separators=(",", ":")).encode()


def codes(rig: BundleRig, path: Path) -> list[str]:
    signers = callfolder.load_signers(rig.rig.signers_file)
    return [problem.code for verdict in verify_bundle(path, signers) for problem in verdict.problems]


def checked(rig: BundleRig, folder: Path) -> subprocess.CompletedProcess[str]:
    words = ["bash", str(CHECKER), str(folder), str(rig.rig.signers_file)]
    return subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def failed(rig: BundleRig, path: Path) -> str:
    """The published checker's message; asserts that it refuses."""
    done = checked(rig, unpacked(path, path.with_suffix("")))
    assert done.returncode != 0
    return done.stderr


def changed(rig: BundleRig, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The bundle with a change possible without a key: the sums match."""
    found = members(rig.root / "case.zip")
    change(found)
    return pack(rig.root / f"changed-{len(list(rig.root.glob('changed-*.zip')))}.zip", found)


def test_the_end_goes_in_and_both_checkers_take_it(ended: BundleRig) -> None:
    assert ended.bundle() == 0
    assert ended.verify(ended.root / "case.zip") == 0
    found = members(ended.root / "case.zip")
    assert [name for name in found if ".end." in name or "/ends/" in name] == [LEAF, PATH]
    leaf = json.loads(found[LEAF])
    assert (leaf["kind"], leaf["situation"], leaf["seen_by"]) == ("end", "abuse", "dial_tone")
    report = found["report.en.html"].decode()
    for text in ("Reason: abusive language (by a code that staff dialled)", "Dial tone was then heard", "Entry "):
        assert text in report
    assert "폭언, 욕설" in found["report.ko.html"].decode()
    case = unpacked(ended.root / "case.zip", ended.root / "case")
    typed = re.findall(r"<li>[^<]*<pre>(.*?)</pre></li>", html.unescape(report), re.DOTALL)
    assert len([command for command in typed if "/ends/" in command]) == 2
    given = f"set -euo pipefail\nsigners={ended.rig.signers_file}\n{recipe.INCLUSION}\n"
    by_hand = run(["bash", "-c", given + "\n".join(typed)], cwd=case)
    assert by_hand.returncode == 0, by_hand.stderr
    done = checked(ended, case)
    assert done.returncode == 0, done.stderr
    assert f"The end is in the recorder's log, by head.json: {CALL_ID}" in done.stdout


def test_without_an_ended_call_it_has_no_end(ended: BundleRig) -> None:
    assert ended.bundle(calls=(SECOND,)) == 0
    found = members(ended.root / "case.zip")
    assert not [name for name in found if "/ends/" in name]
    assert "Ended after a notice" not in found["report.en.html"].decode()


@pytest.mark.parametrize("field", ["situation", "by", "code_at", "released_at", "seen_by", "ended_at", "ended_by"])
def test_an_end_of_other_words_is_found_by_both(ended: BundleRig, field: str) -> None:
    assert ended.bundle() == 0
    path = changed(ended, lambda found: found.update({LEAF: reworded(found[LEAF], **{field: "threat"})}))
    assert codes(ended, path) == ["other_end"]
    assert "agrees with this record" in failed(ended, path)


@pytest.mark.parametrize("field", ["kind", "call_id"])
def test_a_leaf_of_another_kind_or_call_is_found_by_both(ended: BundleRig, field: str) -> None:
    assert ended.bundle() == 0
    path = changed(ended, lambda found: found.update({LEAF: reworded(found[LEAF], **{field: "gap"})}))
    assert codes(ended, path) == ["other_end"]
    assert "is not the end of this call" in failed(ended, path)


def test_an_end_that_the_log_does_not_have_is_found_by_both(ended: BundleRig) -> None:
    """It agrees with the record; the hashed line is another."""
    assert ended.bundle() == 0
    path = changed(ended, lambda found: found.update({LEAF: reworded(found[LEAF], at="2026-11-24T22:00:00.000Z")}))
    assert codes(ended, path) == ["not_in_log"]
    assert "the leaf is not under the head" in failed(ended, path)


def test_the_end_of_a_call_that_was_not_ended_is_found_by_both(ended: BundleRig) -> None:
    def give(found: dict[str, bytes]) -> None:
        found[layout.end(UNIT, SECOND)] = reworded(found[LEAF], call_id=SECOND)
        found[layout.end_path(UNIT, layout.HEAD, SECOND)] = found[PATH]

    assert ended.bundle() == 0
    path = changed(ended, give)
    assert codes(ended, path) == ["other_end"]
    assert "agrees with this record" in failed(ended, path)


def test_what_was_removed_is_missed(ended: BundleRig) -> None:
    assert ended.bundle() == 0
    without = changed(ended, lambda found: [found.pop(LEAF), found.pop(PATH)])
    assert codes(ended, without) == ["missing_member"]
    assert "is missing: the record says" in failed(ended, without)
    assert codes(ended, changed(ended, lambda found: found.pop(PATH))) == ["missing_member"]


def test_a_log_that_contradicts_the_record_is_not_bundled(ended: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    log = ended.rig.log()
    log.append("end", call_id=SECOND, line=4, situation="abuse", by="code", ended_by="released")
    log.publish()
    log.close()
    assert ended.bundle() == 1
    assert "[other_end]" in capsys.readouterr().err


def test_by_its_closing_it_is_what_the_log_gives(ended: BundleRig) -> None:
    """As at the desk, which has no log."""
    log, options = ended.rig.log(), []
    for call_id in (CALL_ID, SECOND):
        proof = log.closing(call_id)
        assert proof is not None
        assert bool(proof.end) == (call_id == CALL_ID)
        assert proof == callproof.of_log(ended.rig.vault / "log", call_id)
        (ended.root / f"{call_id}.json").write_bytes(closing.encode(proof))
        options.append(f"--closing={ended.root / f'{call_id}.json'}")
    log.close()
    assert b'"end"' not in (ended.root / f"{SECOND}.json").read_bytes()
    assert ended.bundle() == 0
    (ended.rig.vault / "log").rename(ended.root / "log")
    assert ended.bundle(*options, name="by-closings.zip") == 0
    assert (ended.root / "case.zip").read_bytes() == (ended.root / "by-closings.zip").read_bytes()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda proof: {"end": "", "end_path": proof.end_path}, "closing_malformed"),
        (lambda _: {"end_path": ""}, "bad_inclusion"),
        (lambda proof: {"end": proof.leaf, "end_path": proof.path}, "other_end"),
        (lambda proof: {"end": proof.end.replace("abuse", "threat")}, "not_in_log"),
        (lambda proof: {"end_path": proof.path}, "not_in_log"),
    ],
)
def test_a_closing_with_another_end_is_refused(
    ended: BundleRig, change: Callable[[Closing], dict[str, str]], code: str
) -> None:
    proof = callproof.of_log(ended.rig.vault / "log", CALL_ID)
    sha256 = ended.rig.sealed_record_sha256()
    assert closing.check(proof, UNIT, CALL_ID, sha256, None).size > 2
    with pytest.raises(Refusal) as refused:
        closing.check(msgspec.structs.replace(proof, **change(proof)), UNIT, CALL_ID, sha256, None)
    assert refused.value.code == code


def test_the_words_of_an_end_are_those_of_this_number() -> None:
    """Another hash means that the texts have changed, and TEXTS has to be increased (test_bundle_report.py)."""
    pages: list[bytes] = []
    for seen, by in SEEN:
        sources = fixed([ended_record(end=msgspec.structs.replace(END, seen_by=seen, by=by))])
        pages += report.derived(sources, facts.load(sources)).values()
    assert pinned(pages) == PINNED
