# SPDX-License-Identifier: Apache-2.0
"""Makes the report for a court, one printable HTML file for each language, without scripts or external resources; and
all derived members.

Both the packer and the verifier derive these members from the others, and the results must agree.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from linetap_core.clock import NS_PER_S, rfc3339, utc_ns_of
from linetap_core.codecs.codec import RATE_HZ
from linetap_core.codecs.registry import MULAW
from linetap_core.errors import BadInput
from linetap_core.evidence.calls.hold import Hold
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing import document, signers
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.records import CallRecord, NoticeRecord
from linetap_desk.bundle import layout, recipe
from linetap_desk.bundle.container import BadBundle, Source
from linetap_desk.bundle.facts import Call, Destroyed, EvidenceFacts
from linetap_desk.bundle.texts import sentence
from linetap_desk.bundle.words import time_with_utc, word
from linetap_desk.witnessing import timestamp
from linetap_desk.witnessing.judge import all_keepers
from linetap_desk.witnessing.timestamp import TOKEN_LIMIT_BYTES, TOKEN_SUFFIX

_STYLE = (
    "body{font:11pt/1.5 serif;max-width:46em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{border:1px solid #999;padding:.25em .5em;text-align:left;vertical-align:top}"
    "th{width:11em;font-weight:normal;background:#eee}"
    "pre{font-size:8.5pt;white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f4f4;padding:.5em}"
    "td{overflow-wrap:anywhere}section,table{break-inside:avoid-page}"
)
_PEOPLE = 2  # who certify a destruction
_UNPROVEN = ("who", "before", "time", "wav", "copy", "whole")


@dataclass(frozen=True, slots=True)
class Report:
    """The report in one language. `stamped`: unit -> the time of its time stamp, RFC 3339."""

    facts: EvidenceFacts
    signers: list[Signer]
    stamped: dict[str, str]
    language: str

    def html(self) -> bytes:
        title = self._text("title")
        body = "\n".join([f"<h1>{title}</h1>", *self._opening(), *self._calls(), *self._proofs(), *self._checks()])
        head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        text = f'<!doctype html>\n<html lang="{self.language}"><head>{head}</head><body>\n{body}\n</body></html>\n'
        return text.encode("utf-8")

    def _text(self, key: str, *values: object) -> str:
        return escape(sentence(self.language, key, *values))

    def _opening(self) -> Iterator[str]:
        if self.facts.about.case:
            yield f"<p><b>{self._text('case')}: {escape(self.facts.about.case)}</b></p>"
        yield f"<p>{self._text('intro')} {self._text('source')}</p>"

    def _calls(self) -> Iterator[str]:
        yield f"<h2>{self._text('calls')}</h2>"
        for call in self.facts.calls:
            rows = (f"<tr><th>{self._text(key)}</th><td>{text}</td></tr>" for key, text in self._rows(call) if text)
            title = self._text("call", call.record.call_id)
            yield f"<section><h3>{title}</h3>\n<table>\n" + "\n".join(rows) + "\n</table></section>"

    def _rows(self, call: Call) -> Iterator[tuple[str, str]]:
        record = call.record
        yield "unit", escape(record.unit)
        yield "line", str(record.line)
        yield "direction", self._word("direction", record.direction)
        why = f" ({escape(record.why)})" if record.why else ""
        yield "disposition", self._word("disposition", record.disposition) + why
        for key in ("ring_at", "off_hook_at", "answered_at", "ended_at"):
            yield key, self._time(getattr(record, key), key.replace("_at", "_by"), record)
        yield "end", self._end(call)
        yield "duration", "" if record.duration_s is None else self._text("seconds", f"{record.duration_s:.3f}")
        yield "continues", escape(record.continues or "")
        yield "amended", self._amended(call)
        yield "notice", "<br>".join(self._notices(record.notices or [n for n in [record.notice] if n]))
        yield from self._sound(call)
        yield "clock", self._clock(call)
        yield (
            "marks",
            "<br>".join(
                self._text("mark", f"{mark.at_s:.1f}", word(self.language, "mark", mark.kind)) for mark in record.marks
            ),
        )
        yield "kept", self._retention_text(call)
        yield "retention", self._retention(call)
        yield "signer", f"{escape(record.unit)}, {keys.fingerprint(call.signed.key)}"
        yield "sha256", call.record_sha256
        place = call.paths[layout.HEAD]
        yield "place", self._text("leaf_of", place.size, place.index + 1)

    def _time(self, text: str | None, by: str, record: CallRecord) -> str:
        if not text:
            return ""
        evidence = getattr(record, by, None)
        time = time_with_utc(self.language, text)
        return self._text("with_evidence", time, word(self.language, by, evidence)) if evidence else escape(time)

    def _word(self, kind: str, value: str) -> str:
        return escape(word(self.language, kind, value))

    def _notices(self, notices: list[NoticeRecord]) -> Iterator[str]:
        if not notices:
            yield self._text("no_notice")
        for notice in notices:
            times = [
                time_with_utc(self.language, text) for text in (notice.started_at, notice.ended_at) if text is not None
            ]
            key = "notice_cut" if notice.ended_at is None else "notice_played"
            yield f"{self._text(key, notice.id, *times)} {self._word('proof', notice.proof)}"

    def _sound(self, call: Call) -> Iterator[tuple[str, str]]:
        audio = call.record.audio
        if audio is None or not audio.samples:
            yield "audio", self._text("no_audio")
            return
        more = f"<br>{self._text('recovered')}" if call.record.recovered else ""
        if audio.codec != MULAW.name:
            more += f"<br>{self._text('coded', audio.codec)}"
        yield "audio", self._text("seconds", f"{audio.samples / RATE_HZ:.3f}") + more
        gaps = (
            self._text("gap", f"{gap.at_s:.3f}", f"{gap.ms:g}", word(self.language, "cause", gap.cause))
            + (self._text("gap_unbounded") if gap.unbounded is True else "")
            for gap in audio.gaps
        )
        yield "gaps", "<br>".join(gaps) or self._text("no_gaps")
        if call.opened:
            beware = f"<br><b>{self._text('unreleased')}</b>" if call.unreleased else ""
            yield "opened", self._text("opened_yes", call.record.call_id) + beware

    def _end(self, call: Call) -> str:
        """The call's end by the unit, and the log's leaf of it."""
        end = call.record.end
        if not end:
            return ""
        by = word(self.language, "ended_for", end.by)
        lines = [self._text("end_for", word(self.language, "situation", end.situation), by)]
        lines.append(self._text("end_began", time_with_utc(self.language, end.code_at)))
        if end.notice is not None:
            lines += self._notices([end.notice])
        if end.released_at is not None:
            lines.append(self._text("end_opened", time_with_utc(self.language, end.released_at)))
        lines.append(self._word("seen_by", end.seen_by))
        if call.ended is not None:
            lines.append(self._text("end_logged", call.ended.index + 1))
        return "<br>".join(lines)

    def _clock(self, call: Call) -> str:
        clock = call.record.clock
        if clock is None:
            return self._text("clock_unknown")
        if not clock.synced:
            return self._text("clock_free")
        off = "" if clock.offset_ms is None else self._text("clock_offset", f"{clock.offset_ms:g}")
        return self._text("clock_synced", off)

    def _amended(self, call: Call) -> str:
        """The corrected times, if the clock of the record was wrong."""
        true = call.amended or call.record.actual or None
        if true is None:
            return ""
        times = [time_with_utc(self.language, text) for text in (true.began_at, true.ended_at)]
        if true.uncertainty_s is None:
            return self._text("amended_latest", *times)
        return self._text("amended_within", *times, true.uncertainty_s)

    def _retention_text(self, call: Call) -> str:
        kept = call.kept
        if kept is None:
            return ""
        until = time_with_utc(self.language, kept.until)
        if isinstance(kept, Hold):
            return self._text("held", kept.case, kept.basis, until)
        return self._text("rewrapped", kept.epoch, until)

    def _retention(self, call: Call) -> str:
        retention = call.record.retention
        if retention is None:
            return ""
        last = call.amended.until if call.amended is not None else retention.until
        until = time_with_utc(self.language, last or retention.epoch)
        text = self._text("until", until, retention.class_)
        if call.destroyed is None:
            return text
        return f"{text}<br>{self._text(self._outcome(call.destroyed), time_with_utc(self.language, call.destroyed.at))}"

    def _outcome(self, destroyed: Destroyed) -> str:
        """The sentence. One officer alone can certify what did not happen: two people have to sign."""
        signed_by = {keys.fingerprint(each.key) for each in destroyed.signed}
        names = {document.name_key(recipe.name_of(each, self.signers)) for each in destroyed.signed}
        if min(len(signed_by), len(names)) < _PEOPLE:
            return "destroyed_by_one"
        return "destroyed" if destroyed.is_closed else "destroyed_in_part"

    def _proofs(self) -> Iterator[str]:
        proven = [self._text("proven_unchanged"), self._text("proven_log")]
        for unit, heads in self.facts.heads.items():
            if layout.WITNESS in heads:
                proven.append(self._text("proven_witness", unit))
            if layout.STAMP in heads:
                proven.append(self._text("proven_stamp", time_with_utc(self.language, self.stamped[unit]), unit))
        proven += [self._text("proven_quorum", *words) for words in self._witnessed()]
        yield from self._list("proven", [*proven, self._text("proven_heard")])
        wav = any(call.opened for call in self.facts.calls)
        reason_unproven = [self._text(f"unproven_{key}") for key in _UNPROVEN if key != "wav" or wav]
        seen = {call.record.unit for call in self.facts.calls if call.witnessed}
        unseen = (unit for unit, heads in self.facts.heads.items() if layout.WITNESS not in heads and unit not in seen)
        yield from self._list("unproven", [*reason_unproven, *(self._text("unproven_unseen", unit) for unit in unseen)])
        known = {f"{keys.fingerprint(s.key)} {recipe.name_of(s, self.signers)}" for s in self.facts.signed}
        yield from self._list("keys", [escape(line) for line in sorted(known)], self._text("keys_compare"))

    def _witnessed(self) -> Iterator[tuple[object, ...]]:
        policy = self.facts.policy
        for call in self.facts.calls:
            if policy is not None and call.witnessed is not None:
                times = policy.cosigners(call.witnessed.note)
                by = time_with_utc(self.language, rfc3339((policy.since(times) or 0) * NS_PER_S))
                yield len(times), len(policy.witnesses), by, call.record.call_id

    def _list(self, title: str, items: list[str], text: str = "") -> Iterator[str]:
        yield f"<h2>{self._text(title)}</h2>" + (f"<p>{text}</p>" if text else "")
        yield "<ul>\n" + "\n".join(f"<li>{item}</li>" for item in items) + "\n</ul>"

    def _checker(self) -> Iterator[str]:
        stamped = any(layout.STAMP in heads for heads in self.facts.heads.values())
        title = self._text("checking")
        yield f"<h2>{title}</h2><p>{self._text('checker_typed')}</p><p>{self._text('checking_needs')}</p>"
        name = layout.CHECKER_NAME
        which = self._text("checker_which", name, layout.CHECKER_VERSION)
        yield f"<p>{which}</p><pre>{layout.CHECKER_SHA256}  {name}</pre>"
        yield f"<p>{self._text('checker_where', name)}</p>"
        run = f"sha256sum {name}\nbash {name} case signers.published{' tsa-ca.pem' if stamped else ''}"
        yield f"<pre>{run}</pre><p><b>{self._text('checker_data')}</b></p>"

    def _checks(self) -> Iterator[str]:
        yield from self._checker()  # a shell knows a function from its definition on
        yield f"<p>{self._text('checking_inclusion')}</p><pre>{escape(recipe.INCLUSION)}</pre><ol>"
        for step in recipe.steps(self.facts, self.signers):
            yield f"<li>{self._text(step.key, step.of)}<pre>{escape(step.command)}</pre></li>"
        yield "</ol>"
        first = next((call.record for call in self.facts.calls if call.record.files), None)
        if first is not None:
            yield f"<h2>{self._text('opening')}</h2><p>{self._text('opening_how')}</p>"
            yield f"<pre>{escape(recipe.opening(first))}</pre>"
            for call in self.facts.calls:
                if call.kept is not None:
                    yield f"<p>{self._text('opening_kept', call.record.call_id)}</p>"
            group = recipe.opening_group(first)
            yield f"<p>{self._text('opening_group')} <code>{escape(group)}</code></p>"


SIGNERS_LIMIT_BYTES = 1 << 20
CA_LIMIT_BYTES = 1 << 20
_FRACTION = re.compile(r"\.\d+")


def signer_lines(facts: EvidenceFacts, text: bytes) -> bytes:
    """The lines of an allowed_signers file whose keys signed something in the bundle, unchanged."""
    _parse(text)  # as a whole, which names a faulty line by its number
    needed = {keys.public_blob(each.key) for each in facts.signed}
    origins = {checkpoint.decode(call.witnessed.note.text).origin for call in facts.calls if call.witnessed}
    lines = [
        line for line in text.split(b"\n") if any(each.blob in needed or keeps(each, origins) for each in _parse(line))
    ]
    return b"".join(line + b"\n" for line in lines)


def keeps(signer: Signer, origins: Collection[str]) -> bool:
    """Whether the signer is the keeper of one of these logs."""
    return any(key.name in origins for key in all_keepers([signer]))


def require_kept(facts: EvidenceFacts, text: bytes) -> None:
    """BadBundle unless each call's log has a checkpoint signed by a keeper that the signers' file names."""
    named = _parse(text)
    for call in facts.calls:
        if call.witnessed is not None:
            unit = call.record.unit
            ours = all_keepers(named, unit=unit)
            if not any(note.is_signed(call.witnessed.note, key) for key in ours):
                name = layout.witnessed(unit, call.record.call_id)
                raise BadBundle("other_log", f"{name}: not signed by a keeper of {unit}'s log")


def _parse(data: bytes) -> list[Signer]:
    try:
        return signers.parse(data.decode("utf-8"))
    except (BadInput, UnicodeDecodeError) as error:
        raise BadBundle("member_unreadable", f"{layout.SIGNERS}: {error}") from None


def stamped(sources: Mapping[str, Source], unit: str, ca: Path | None) -> str:
    """The time of a unit's time stamp, RFC 3339, checked by stock openssl; without `ca` by the bundle's own CA."""
    name = layout.head(unit, layout.STAMP)
    with tempfile.TemporaryDirectory(prefix="linetap-ts-") as folder:
        head, own = Path(folder) / "head.json", Path(folder) / "ca.pem"
        head.write_bytes(layout.read(sources, name, unitlog.HEAD_LIMIT_BYTES))
        token = layout.read(sources, name + TOKEN_SUFFIX, TOKEN_LIMIT_BYTES)
        head.with_name(head.name + TOKEN_SUFFIX).write_bytes(token)
        named = layout.read(sources, layout.ca(unit), CA_LIMIT_BYTES)
        layout.require_der(token, name + TOKEN_SUFFIX)
        layout.require_exact_certificates(named, layout.ca(unit))
        own.write_bytes(named)
        return _moment(timestamp.time_of(head, ca or own), name)


def _stamp_time(sources: Mapping[str, Source], unit: str) -> str:
    """The time in a unit's time stamp, RFC 3339, for a report. The validity of the stamp has its own verdict: it ends
    with the authority's certificate, unlike the rest of the bundle."""
    name = layout.head(unit, layout.STAMP)
    return _moment(timestamp.stated_time(layout.read(sources, name + TOKEN_SUFFIX, TOKEN_LIMIT_BYTES)), name)


def _moment(stamped: str, name: str) -> str:
    try:
        moment = datetime.strptime(_FRACTION.sub("", stamped), "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
    except ValueError:
        raise BadBundle("timestamp", f"{name}{TOKEN_SUFFIX}: {stamped!r} is no valid time") from None
    return rfc3339(utc_ns_of(moment))


def derived(sources: Mapping[str, Source], facts: EvidenceFacts) -> dict[str, bytes]:
    """The reports, from `sources` only."""
    named = _parse(layout.read(sources, layout.SIGNERS, SIGNERS_LIMIT_BYTES))
    times = {unit: _stamp_time(sources, unit) for unit, heads in facts.heads.items() if layout.STAMP in heads}
    return {name: Report(facts, named, times, language).html() for language, name in layout.REPORTS.items()}
