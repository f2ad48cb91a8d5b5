# SPDX-License-Identifier: Apache-2.0
"""`linetap accusation`: a released call becomes a bundle, verified like any other, and the draft of a statement; an
unreleased one does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from calls_house import UNIT, CallsHouse
from servesite import ServeSite
from sqlalchemy import insert

from bundle_rig import SECOND, BundleRig
from linetap_core.cli import main
from linetap_core.clock import parse_rfc3339
from linetap_core.records import CallRecord, EndRecord, Mark, NoticeRecord
from linetap_desk.protection import accusation
from linetap_desk.serve.database.tables import requests
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.protection.accusation import MOST
from sealing_rig import CALL_ID


def accuse(bundled: BundleRig, *more: str, calls: tuple[str, ...] = (CALL_ID,), case: str = "2026-117") -> int:
    folders = [str(bundled.call(call_id)) for call_id in calls]
    words = ["--signers", str(bundled.rig.signers_file), "--case", case, "-o", str(bundled.root / "matter.zip")]
    return main(["accusation", *folders, *words, *more])


def released(bundled: BundleRig) -> str:
    """The option for the first call, as after a release: `open` with both keys marks it, a release does not."""
    wav = bundled.opened()
    release(bundled)
    return wav


def release(bundled: BundleRig) -> None:
    path = bundled.root / "call.json"
    whole: dict[str, Any] = json.loads(path.read_bytes())
    whole.pop("unreleased")
    path.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")


def test_a_released_call_becomes_evidence_and_a_draft(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    assert accuse(bundled, released(bundled)) == 0
    said = capsys.readouterr().out.splitlines()
    digest = said[-2].rpartition(" ")[2]
    draft = (bundled.root / "matter.statement.html").read_text()
    assert CALL_ID in draft
    assert digest in draft
    assert "2026-117" in draft
    assert bundled.verify(bundled.root / "matter.zip") == 0  # as any other bundle
    whole = json.loads((bundled.root / "call.json").read_bytes())
    numbers = [whole.get("dialled"), (whole.get("caller") or {}).get("number")]
    assert any(numbers)
    assert not any(number in draft for number in numbers if number)
    assert accuse(bundled, f"--wav={bundled.root / 'call.wav'}") == 2  # it already exists


def test_what_was_not_released_does_not_go_out(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    wav = bundled.opened()  # one person with both keys
    for words, why in (
        ([wav], f"{CALL_ID}: it was opened without a release [call_not_released]"),
        ([], f"{CALL_ID}: its opened recording is missing: --wav [call_not_released]"),
    ):
        capsys.readouterr()
        assert accuse(bundled, *words) == 1
        assert capsys.readouterr().err.strip().endswith(why)
    release(bundled)
    assert accuse(bundled, wav, calls=(CALL_ID, SECOND)) == 1
    assert SECOND in capsys.readouterr().err
    assert accuse(bundled, wav, case="") == 2
    assert not list(bundled.root.glob("matter.*"))


def test_the_checked_file_is_the_bundled_one(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording of another name: what was checked was call.bin.json, and what went out call.json."""
    bundled.opened()
    whole = json.loads((bundled.root / "call.json").read_bytes())
    whole.pop("unreleased")
    (bundled.root / "call.bin.json").write_text(json.dumps(whole))
    (bundled.root / "call.wav").rename(bundled.root / "call.bin")
    assert accuse(bundled, f"--wav={bundled.root / 'call.bin'}") == 1
    assert capsys.readouterr().err.strip().endswith("it was opened without a release [call_not_released]")
    assert not list(bundled.root.glob("matter.*"))


def test_another_calls_recording_is_no_release(bundled: BundleRig) -> None:
    wav = released(bundled)
    path = bundled.root / "call.json"
    path.write_bytes(path.read_bytes().replace(CALL_ID.encode(), SECOND.encode()))
    assert accuse(bundled, wav, calls=(SECOND,)) == 1  # the bundle compares it with the signed record
    assert not list(bundled.root.glob("matter.*"))


def record(number: int, **more: Any) -> CallRecord:
    at = f"2026-11-24T03:0{number}:00.000Z"
    return CallRecord(
        call_id=f"20261124T030{number}00.000Z-L01", unit="main-03", line=1, answered_at=at, ended_at=at,
        duration_s=754.0, dialled="01012345678", **more,
    )  # fmt: skip


def text_of(page: bytes) -> str:
    return " ".join(re.sub("<[^>]+>", " ", page.decode()).split())


def test_the_draft_has_times_and_situations_in_order() -> None:
    heard = NoticeRecord(id="end-abuse", started_at="2026-11-24T03:02:41.000Z", proof="full")
    end = EndRecord(situation="abuse", by="code", code_at="2026-11-24T03:02:40.000Z", notice=heard)
    own = EndRecord(situation="<own>", by="code", code_at="2026-11-24T03:02:40.000Z")
    records = [record(2, end=end), record(1, marks=[Mark(20.0, "abuse"), Mark(5.0, "mark_far")]), record(3, end=own)]
    page = accusation.draft_statement(
        "2026-<117>", records, "case.zip", "ab" * 32, parse_rfc3339("2026-11-30T16:00:00Z")
    )
    text = text_of(page)
    assert text.index("030100") < text.index("030200") < text.index("030300")
    assert "통화 3건: &lt;own&gt; 1건, 폭언 1건." in text
    assert text.count("담당자 표시") == 1  # the far end's keys are no mark
    assert "20초 뒤 담당자 표시: 폭언" in text
    assert "통화 시간 12분 34초" in text
    assert "2026-&lt;117&gt;" in text
    assert "2026-12-01" in text  # the day in Korea
    assert "01012345678" not in text


def test_the_draft_has_each_code_of_staff_and_whole_seconds() -> None:
    """Also for a call that was not ended: the end was stopped, or the code only marks."""
    marks = [Mark(3.0, "threat"), Mark(4.0, "end_cancelled"), Mark(9.0, "own"), Mark(9.5, "end_far")]
    one = record(1, marks=marks)
    one.duration_s = 119.7
    text = text_of(accusation.draft_statement("x", [one], "case.zip", "ab" * 32, parse_rfc3339("2026-11-30T16:00:00Z")))
    assert re.findall("뒤 담당자 표시: (\\S+)", text) == ["협박", "own"]
    assert "통화 시간 1분 59초" in text


def test_the_draft_is_whole_html(tmp_path: Path) -> None:
    page = accusation.draft_statement(
        "1", [record(1)], "case.zip", "ab" * 32, parse_rfc3339("2026-11-30T16:00:00Z")
    ).decode()
    (tmp_path / "draft.html").write_text(page)
    assert page.count("<table") == page.count("</table>") == 3
    assert "{" not in re.sub("(?s)<style>.*?</style>", "", page)


# --- the page that leads there ----------------------------------------------------------------------------------------


class House(CallsHouse):
    def fill(self) -> None:
        self.recorded("first", UNIT, 1, 600, situation="abuse")
        self.recorded("second", UNIT, 1, 1200)
        self._store()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServeSite]:
    house = House(tmp_path)
    house.fill()
    asked = [("first", "given", "2026-117"), ("second", "not_given", "2026-117"), ("second", "given", "2026-118; rm")]
    with house.serve() as served:
        ask(
            served,
            [(f"2026-000{n}", house.names[name], outcome, case) for n, (name, outcome, case) in enumerate(asked)],
        )
        yield served
    house.engine.dispose()


def ask(served: ServeSite, asked: list[tuple[str, ...]]) -> None:
    with writing(served.site.own) as db:
        for name, call_id, outcome, case in asked:
            db.execute(insert(requests).values(
                id=name, unit=UNIT, call_id=call_id, line=1, record_sha256="ab" * 32,
                purpose="dispute", case_number=case, requester="a", recipient="b", asked_by="kim", asked_at="x",
                expires_at="x", closed_at="x", outcome=outcome,
            ))  # fmt: skip


def test_the_page_names_what_was_released_for_the_case(served: ServeSite) -> None:
    client = served.client("officer")
    page = client.get("/accusation?case=2026-117").text
    (command,) = re.findall("<code>(linetap accusation [^<]+)</code>", page)
    assert command == (
        "linetap accusation VAULT/2026/11/24/20261124T031000.000Z-L01 --wav 20261124T031000.000Z-L01.wav "
        "--signers allowed_signers --case=2026-117 -o case.zip"
    )
    assert "폭언" in page
    assert "/release/2026-0000" in page
    assert "--case=&#39;2026-118; rm&#39;" in client.get("/accusation", params={"case": "2026-118; rm"}).text
    assert "이 사건으로 열람·제공한 통화가 없습니다" in client.get("/accusation?case=2026-119").text
    assert client.get("/accusation", params={"case": "x" * 121}).status_code == 404
    assert served.client("custodian").get("/accusation").status_code == 403


def test_a_case_of_more_calls_than_a_page_holds_says_so(served: ServeSite) -> None:
    client, cut = served.client("officer"), "표시한 것보다 많습니다"
    assert cut not in client.get("/accusation?case=2026-117").text
    (given,) = re.findall(r"/calls/[^/]+/([^\"]+)\"", client.get("/accusation?case=2026-117").text)
    ask(served, [(f"2026-1{n:03}", given, "given", "2026-120") for n in range(MOST + 1)])
    assert cut in client.get("/accusation?case=2026-120").text
