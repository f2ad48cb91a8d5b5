# SPDX-License-Identifier: Apache-2.0
"""A citizen's copy from the custodian's pages, opened by stock 7-Zip and decoded by stock ffmpeg: silence in the marked
spans to the sample, otherwise the original's samples, and a proof that stock ssh-keygen verifies.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from citizen_rig import CASE, asked, packed
from custody_rig import CALL, SECONDS, Helper
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import sealing_rig
from linetap_core.codecs import g711
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import citizen
from linetap_desk.custody.citizen import encryptedzip, masking
from release_rig import ID, Desk
from sealing_rig import noise

PHRASE = re.compile(r'id="passphrase"[^>]*>([A-Z2-9-]{24})<')


@pytest.fixture
def helper(desk: Desk) -> Iterator[Helper]:
    with Helper(desk, packed(desk, asked(desk))) as helper:
        yield helper


def original() -> NDArray[np.int16]:
    return g711.decode(np.frombuffer(noise(SECONDS * 8000, seed=7), np.uint8))


def unzip(path: Path, phrase: str, to: Path) -> int:
    command = ["7z", "x", "-y", f"-p{phrase}", f"-o{to}", str(path)]
    return sealing_rig.run(command).returncode


def decoded(path: Path) -> NDArray[np.int16]:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-"]
    return np.frombuffer(sealing_rig.run(command).stdout, "<i2")


def test_the_copy_is_silent_where_it_was_marked_and_the_original_elsewhere(helper: Helper, tmp_path: Path) -> None:
    inside, desk = helper.inside(), helper.desk
    helper.post(inside, f"/call/{CALL}/listen")
    marks = [("6.5001", "7", "by_law"), ("0:02.0", "0:03.50005", "other_person"), ("3.6", "4", "others_interest")]
    for from_s, to_s, reason in marks:
        fields = {"from": from_s, "to": to_s, "reason": reason}
        assert helper.post(inside, f"/call/{CALL}/mask", **fields).status_code == 303
    assert helper.post(inside, f"/call/{CALL}/unmask", first="28800").status_code == 303  # 3.6 s again
    page = helper.post(inside, f"/call/{CALL}/copy")
    assert page.status_code == 200
    found = PHRASE.search(page.text)
    assert found is not None
    phrase = found[1]
    assert page.headers["cache-control"] == "no-store"

    copy = helper.output / f"{CALL}.zip"
    assert unzip(copy, phrase, tmp_path / "opened") == 0
    heard, clear = decoded(tmp_path / "opened/recording.wav"), original()
    silent = np.zeros(len(clear), bool)
    silent[16_000:28_001] = True  # 3.50005 s ends within sample 28,000
    silent[52_000:56_000] = True  # 6.5001 s begins within sample 52,000
    assert np.array_equal(heard, np.where(silent, 0, clear))
    assert (clear[silent] != 0).mean() > 0.5  # there was sound
    about = (tmp_path / "opened/about.txt").read_text("utf-8-sig")
    assert "0:02.000 - 0:03.500  다른 사람의 목소리 또는 개인정보" in about
    assert "0:03.600" not in about

    proof = json.loads((tmp_path / "opened/copy.json").read_bytes())
    record = next(desk.rig.vault.rglob(CALL)) / "record.json"
    assert proof["record_sha256"] == hashlib.sha256(record.read_bytes()).hexdigest()
    assert proof["wav_sha256"] == hashlib.sha256((tmp_path / "opened/recording.wav").read_bytes()).hexdigest()
    assert proof["masked"] == [
        {"end": 28_001, "first": 16_000, "reason": "other_person"},
        {"end": 56_000, "first": 52_000, "reason": "by_law"},
    ]
    assert (proof["case"], proof["request"], proof["call_id"], proof["samples"]) == (CASE, ID, CALL, len(clear))
    beside = helper.output / f"{CALL}.copy.json"
    assert beside.read_bytes() == (tmp_path / "opened/copy.json").read_bytes()
    signers = tmp_path / "signers"
    signers.write_text(f"custodian {(desk.folder / 'access.pub').read_text()}")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "custodian", "-n", "linetap-citizen-copy"]
    sig = str(tmp_path / "opened/copy.json.sig")
    assert sealing_rig.run([*command, "-s", sig], stdin=beside.read_bytes()).returncode == 0
    changed = beside.read_bytes().replace(b"by_law", b"others")
    assert sealing_rig.run([*command, "-s", sig], stdin=changed).returncode != 0

    entry = desk.log()[-1]
    assert (entry.verb, entry.outcome, entry.calls, entry.case) == ("copy", "granted", [CALL], CASE)
    assert proof["wav_sha256"] in entry.text
    # The passphrase is only on that page: not in the log, not beside the file, not on the next page.
    kept = [path for folder in (desk.folder, helper.output, helper.folder) for path in folder.rglob("*")]
    assert [path for path in kept if path.is_file() and phrase.encode() in path.read_bytes()] == []
    assert phrase not in helper.get(inside, f"/call/{CALL}").text
    assert phrase not in Path("/proc/self/cmdline").read_text()
    assert helper.post(inside, f"/call/{CALL}/copy").status_code == 409  # nothing is overwritten
    assert helper.post(inside, f"/call/{CALL}/give").status_code == 409  # nobody has that key


def test_a_wrong_passphrase_and_a_changed_byte(helper: Helper, tmp_path: Path) -> None:
    inside = helper.inside()
    helper.post(inside, f"/call/{CALL}/listen")
    found = PHRASE.search(helper.post(inside, f"/call/{CALL}/copy").text)
    assert found is not None
    copy = helper.output / f"{CALL}.zip"
    assert unzip(copy, "AAAA-AAAA-AAAA-AAAA-AAAA", tmp_path / "wrong") != 0
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.zip").write_bytes(data)
    assert unzip(tmp_path / "changed.zip", found[1], tmp_path / "changed") != 0
    assert unzip(copy, found[1], tmp_path / "right") == 0


@pytest.mark.parametrize(
    ("from_s", "to_s", "reason"),
    [
        ("nan", "3", "other_person"), ("0", "inf", "other_person"), ("-1", "3", "other_person"),
        ("3", "3", "other_person"), ("4", "3", "other_person"), ("11", "12.001", "other_person"),
        ("0", "1e9", "other_person"), ("1:60", "1:61", "other_person"), ("٣", "٤", "other_person"),
        ("0", "3", "because"), ("", "", "other_person"), ("5.5", "6.5", "other_person"),
    ],
)  # fmt: skip
def test_spans_that_are_refused(from_s: str, to_s: str, reason: str) -> None:
    samples = SECONDS * 8000
    before = masking.marked([], "6", "7", "by_law", samples)
    with pytest.raises(BadInput):
        masking.marked(before, from_s, to_s, reason, samples)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 12_000_000), st.integers(0, 12_000_000)), max_size=20))
def test_whatever_is_marked_is_silent_and_nothing_else(pairs: list[tuple[int, int]]) -> None:
    """Microseconds; a refused span changes nothing."""
    pcm, spans = np.ones(SECONDS * 8000, np.int16), list[masking.Span]()
    silent = np.zeros(len(pcm), bool)
    for from_us, to_us in pairs:
        with contextlib.suppress(BadInput):
            begin, end = (f"{us // 1_000_000}.{us % 1_000_000:06d}" for us in (from_us, to_us))
            spans = masking.marked(spans, begin, end, "by_law", len(pcm))
            silent[from_us * 8000 // 1_000_000 : -(-to_us * 8000 // 1_000_000)] = True
    assert np.array_equal(masking.masked(pcm, spans) == 0, silent)
    assert pcm.all()


def test_a_span_over_the_page(helper: Helper) -> None:
    inside = helper.inside()
    assert helper.post(inside, f"/call/{CALL}/mask", **{"from": "1", "to": "2", "reason": "by_law"}).status_code == 404
    helper.post(inside, f"/call/{CALL}/listen")
    answer = helper.post(inside, f"/call/{CALL}/mask", **{"from": "nan", "to": "2", "reason": "by_law"})
    assert answer.status_code == 409
    assert helper.case.spans.get(CALL, []) == []


def test_another_persons_call_is_not_even_heard(desk: Desk) -> None:
    with Helper(desk, packed(desk, asked(desk, case="C2026-0001/9999"))) as helper:
        answer = helper.post(helper.inside(), f"/call/{CALL}/listen")
        assert answer.status_code == 409
        assert "민원인이 알린 번호" in answer.text
        assert helper.case.opened(CALL) is None
        assert (desk.log()[-1].outcome, desk.log()[-1].code) == ("failed", "call_of_another")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"recipient": citizen.BY_LISTENING}, "copy_not_approved"),
        ({"case": "2026-117", "recipient": "age1qqq"}, ""),
    ],
)
def test_a_copy_that_was_not_approved(desk: Desk, change: dict[str, str], code: str) -> None:
    if not code:  # an ordinary release: for a requester with a key
        change = {"case": "2026-117", "purpose": "dispute", "recipient": desk.requester.recipient}
        code = "not_a_citizens"
    with Helper(desk, packed(desk, asked(desk, **change))) as helper:
        inside = helper.inside()
        assert helper.post(inside, f"/call/{CALL}/listen").status_code == 303
        assert helper.post(inside, f"/call/{CALL}/copy").status_code == 409
        assert (desk.log()[-1].verb, desk.log()[-1].outcome, desk.log()[-1].code) == ("copy", "refused", code)
        assert list(helper.output.iterdir()) == []


def test_an_old_approval_makes_no_second_copy(helper: Helper) -> None:
    """Closed, or expired since: the call is still in memory, but cannot be copied any more."""
    inside, desk = helper.inside(), helper.desk
    helper.post(inside, f"/call/{CALL}/listen")
    desk.clock.advance(8 * 24 * 3600 * 10**9)
    helper.site.touch()
    assert helper.post(inside, f"/call/{CALL}/copy").status_code == 409
    assert desk.log()[-1].code == "request_expired"
    assert list(helper.output.iterdir()) == []


def test_a_full_disk_leaves_nothing(helper: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = helper.inside()
    helper.post(inside, f"/call/{CALL}/listen")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encryptedzip, "write", full)
    assert helper.post(inside, f"/call/{CALL}/copy").status_code == 409
    assert list(helper.output.iterdir()) == []
    assert helper.desk.log()[-1].outcome == "failed"


def test_passphrases_are_drawn() -> None:
    drawn = {encryptedzip.passphrase() for _ in range(100)}
    assert len(drawn) == 100
    assert {len(set(phrase) - {"-"}) > 6 for phrase in drawn} == {True}
