# SPDX-License-Identifier: Apache-2.0
"""`linetap accusation`: bundles several released calls of one case, as `linetap bundle` does, and drafts a statement.

Only calls opened by a release are accepted: a call without its opened recording is refused, and a call.json that states
one person with both keys.

The statement is in Korean, to print and complete by hand: the facts of each call by its signed record. It contains no
telephone number and no spoken word; the person who signs it adds the persons and the facts.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import privatefile
from linetap_core.durable.files import sha256
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.records import END_STEPS, CallRecord
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry
from linetap_desk.bundle import command as bundle
from linetap_desk.bundle.gather import json_of
from linetap_desk.bundle.words import time_with_utc, word
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.protection.words import SITUATION
from linetap_desk.web import text

_NO_MARK = ("mark_", "notice_code")  # keys pressed at the far end, and the announcement
_PAGE = """<!doctype html>
<html lang="ko"><head><meta charset="utf-8"><title>고소·고발 참고 진술서(초안) {case}</title>
<style>
@page {{ size: A4; margin: 20mm; }}
body {{ font: 11pt/1.6 "Noto Sans CJK KR", "Malgun Gothic", sans-serif; max-width: 170mm; margin: 0 auto; }}
h1 {{ text-align: center; font-size: 18pt; }} h2 {{ font-size: 13pt; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border: 1px solid #555; padding: 4px 8px; text-align: left; }}
th {{ background: #f0f0f0; white-space: nowrap; }} tr {{ break-inside: avoid; }}
.blank td {{ height: 9mm; }} .facts td {{ height: 60mm; }} .sign {{ text-align: right; margin-top: 12mm; }}
code {{ word-break: break-all; }}
</style></head><body>
<h1>고소·고발 참고 진술서(초안)</h1>
<p>이 문서는 통화 기록을 바탕으로 자동 작성한 초안입니다.
당사자와 구체적 사실을 적고, 법률 검토를 거친 뒤 제출합니다.</p>
<table class="blank"><tr><th>사건번호</th><td>{case}</td></tr>
<tr><th>진술인(소속, 직위, 성명)</th><td></td></tr><tr><th>피고소(고발)인</th><td></td></tr></table>
<h2>1. 통화 내역</h2>
<p>통화 {count}건{kinds}. 시각과 사유는 기기가 서명한 기록에 따릅니다.</p>
<table><tr><th>번호</th><th>통화</th><th>내용</th></tr>
{rows}
</table>
<h2>2. 구체적 사실</h2>
<table class="facts"><tr><td></td></tr></table>
<h2>3. 증거</h2>
<p>증거 묶음 {bundle}: 통화의 원본 기록, 서명, 청취 가능한 녹음, 검증 방법이 들어 있습니다.<br>
SHA-256 <code>{digest}</code></p>
<p class="sign">{day}<br>진술인 ____________________ (서명 또는 인)</p>
</body></html>
"""


def draft_statement(case: str, records: Sequence[CallRecord], bundle: str, digest: str, now_ns: int) -> bytes:
    """The statement. `records` in any order; shown by time."""
    ordered = sorted(records, key=lambda record: record.call_id)
    counted = Counter(named(record.end.situation) for record in ordered if record.end)
    kinds = ", ".join(f"{name} {number}건" for name, number in sorted(counted.items()))
    rows = "\n".join(
        f"<tr><td>{number}</td><td><code>{escape(record.call_id)}</code></td><td>{'<br>'.join(_lines(record))}</td></tr>"
        for number, record in enumerate(ordered, 1)
    )
    page = _PAGE.format(
        case=escape(case), count=len(ordered), kinds=escape(f": {kinds}" if kinds else ""), rows=rows,
        bundle=escape(bundle), digest=digest, day=time_with_utc("ko", rfc3339(now_ns))[:10],
    )  # fmt: skip
    return page.encode()


def named(situation: str) -> str:
    """The shipped situations in Korean; a site's own by its name."""
    known = SITUATION.get(situation)
    return situation if known is None else text.words("ko").gettext(known)


def _lines(record: CallRecord) -> Iterator[str]:
    def time(moment: str | None) -> str:
        return escape(time_with_utc("ko", moment)) if moment else "-"

    yield f"회선: {escape(record.unit)} {record.line}"
    yield f"응답 {time(record.answered_at)}, 종료 {time(record.ended_at)}"
    if record.duration_s is not None:
        yield f"통화 시간 {int(record.duration_s // 60)}분 {int(record.duration_s % 60)}초"
    if record.notice is not None:
        yield f"녹음 고지 {time(record.notice.started_at)}: {escape(word('ko', 'proof', record.notice.proof))}"
    for mark in record.marks:
        if mark.kind not in END_STEPS and not mark.kind.startswith(_NO_MARK):
            yield f"통화 시작 {mark.at_s:.0f}초 뒤 담당자 표시: {escape(named(mark.kind))}"
    if record.end:
        yield f"종료 사유: <b>{escape(named(record.end.situation))}</b> ({time(record.end.code_at)})"
        if record.end.notice is not None:
            proof = escape(word("ko", "proof", record.end.notice.proof))
            yield f"사유 안내 {time(record.end.notice.started_at)}: {proof}"


_JSON_LIMIT_BYTES = 1 << 20
_SUFFIX = ".statement.html"


class OpenedWithoutRelease(Refusal):
    """A call without a release is not given to a third party."""

    code = "call_not_released"

    def __init__(self, call_id: str, why: str) -> None:
        super().__init__(f"{call_id}: {why} [{self.code}]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "example: linetap accusation CALL_DIR CALL_DIR --wav a.wav --wav b.wav --signers allowed_signers "
        "--case 2026-117 -o case.zip"
    )
    bundle.add_arguments(parser)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    """Writes the bundle and, beside it, the statement; returns 0."""
    draft = args.output.with_name(args.output.name.removesuffix(".zip") + _SUFFIX)
    if draft.exists():
        raise BadInput(f"{draft}: it exists; another -o expected")
    if not args.case:
        raise BadInput("--case: the number of the matter expected")
    _require_released(args.calls, args.wav)
    sys.stdout.write(bundle.make(args, deskfolder.find(args, clock), Entry(verb="bundle", case=args.case)) + "\n")
    records = [_record(path) for path in args.calls]  # the bundle has verified them
    data = draft_statement(args.case, records, args.output.name, sha256(args.output), clock.utc_ns())
    privatefile.write(draft, data)
    sys.stdout.write(f"{draft}: draft of the statement, {len(records)} calls\n")
    return 0


def _require_released(calls: list[Path], wavs: list[Path]) -> None:
    opened: dict[str, bool] = {}
    for wav in wavs:
        path = json_of(wav)  # the bundled one
        whole = strict.decode(callfolder.read(path, _JSON_LIMIT_BYTES), dict[str, Any], path)
        opened[str(whole.get("call_id"))] = whole.get("unreleased") is not True
    for path in calls:
        if path.name not in opened:
            raise OpenedWithoutRelease(path.name, "its opened recording is missing: --wav")
        if not opened[path.name]:
            raise OpenedWithoutRelease(path.name, "it was opened without a release")


def _record(path: Path) -> CallRecord:
    return sealed.decode_record(callfolder.read(path / sealed.RECORD, sealed.RECORD_LIMIT_BYTES))
