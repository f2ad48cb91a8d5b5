# SPDX-License-Identifier: Apache-2.0
"""The report: the same facts and commands in both languages, no number, no name, texts for everything in a record."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bundle_rig import SECOND, BundleRig, members, stamped, unpacked
from linetap.ring import GAP_CAUSES
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.calls.hold import Hold
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import leaflog, merkle, unitlog
from linetap_core.evidence.merklelog.closing import Inclusion
from linetap_core.evidence.merklelog.unitlog import Head
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.records import (
    AnsweredBy,
    Audio,
    CallRecord,
    ClockRecord,
    Direction,
    Disposition,
    EndedBy,
    Gap,
    Mark,
    NoticeRecord,
    ReleaseSeenBy,
    Retention,
)
from linetap_desk.bundle import facts, layout, texts, words
from linetap_desk.bundle import report as finish
from linetap_desk.bundle.container import Source
from linetap_desk.ceremony.certificate import Certificate
from sealing_rig import CALL_ID, UNIT, run

# With another hash the texts have changed: TEXTS has to be increased. Of an ended call: test_bundle_ended.py.
PINNED = {11: "bd5d38447a51153019e81f4224bcc178e151f1cf181ba40946e69535ba65ce94"}
ROOT = Path(__file__).parents[2]
VOID = {"meta", "br"}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not [name for name, _ in attrs if name in ("src", "href") or name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def fixed(records: list[CallRecord]) -> dict[str, Source]:
    """The sources of a report, with the same bytes every time: the key is not secret."""
    key, person, second = (Ed25519PrivateKey.from_private_bytes(bytes(range(at, at + 32))) for at in range(3))
    sources: dict[str, Source] = {layout.ABOUT: document.encode(facts.About(case="2026가합117 <&>"))}
    tree, leaves = merkle.Tree(), []

    def append(record: CallRecord, leaf_name: str, path_name: str, fields: Mapping[str, object]) -> None:
        leaves.append((leaf_name, path_name, leaflog.encode({"at": "x", "call_id": record.call_id} | dict(fields))))
        tree.append(leaves[-1][2])

    for record in records:
        data = sealed.public_json(record)
        sources[layout.call(record.call_id, sealed.RECORD)] = data
        signature = sshsig.sign(data, key, namespaces.RECORD).encode()
        sources[layout.call(record.call_id, sealed.SIGNATURE)] = signature
        sha256 = hashlib.sha256(data).hexdigest()
        if (end := unitlog.fields_of(record)) is not None:
            names = layout.end(UNIT, record.call_id), layout.end_path(UNIT, layout.HEAD, record.call_id)
            append(record, *names, {"kind": "end", **end})
        names = layout.leaf(UNIT, record.call_id), layout.path(UNIT, layout.HEAD, record.call_id)
        append(record, *names, {"kind": "close", "record_sha256": sha256})
    head = Head(unit=UNIT, size=tree.size, root=tree.root().hex(), at="2026-11-24T23:30:00.000Z",
                origin=keys.fingerprint(key.public_key()))  # fmt: skip
    data = unitlog.encode_head(head)
    sources[layout.head(UNIT, layout.HEAD)] = data
    sources[layout.head(UNIT, layout.HEAD) + ".sig"] = sshsig.sign(data, key, namespaces.HEAD).encode()
    for index, (leaf_name, path_name, line) in enumerate(leaves):
        sources[leaf_name] = line
        path = Inclusion(index, tree.size, tuple(tree.inclusion(index))).encode()
        sources[path_name] = sources[path_name.replace(f"/{layout.HEAD}/", f"/{layout.WITNESS}/")] = path
    for suffix in ("", ".sig"):
        sources[layout.head(UNIT, layout.WITNESS) + suffix] = sources[f"logs/{UNIT}/head.json{suffix}"]
    cosigned = sshsig.sign(data, person, namespaces.HEAD).encode()
    sources[layout.head(UNIT, layout.WITNESS) + ".witness.sig"] = cosigned
    people = ((UNIT, key, ""), ("witness", person, ""), ("lee", second, 'namespaces="linetap-certificate" '))
    lines = (f"{name} {options}{keys.public_line(of.public_key())}\n" for name, of, options in people)
    sources[layout.SIGNERS] = "".join(lines).encode()
    return sources | documents(records[0], person, second)


def documents(record: CallRecord, key: Ed25519PrivateKey, second: Ed25519PrivateKey) -> dict[str, Source]:
    """The call opened without a release, held, proven by Sigsum, and its day's key destroyed by two people."""
    data = sealed.public_json(record)
    whole = json.dumps(json.loads(data) | {"unreleased": True}, indent=2, ensure_ascii=False).encode() + b"\n"
    held = hold.encode(
        Hold(call_id=record.call_id, unit=UNIT, record_sha256=hashlib.sha256(data).hexdigest(), key_sha256="", to="",
             from_epoch="", made_at="2026-12-01T00:00:00.000Z", case="2026-117", basis="Act 39",
             until="2028-01-01T00:00:00.000Z")
    )  # fmt: skip
    gone = msgspec.json.encode(
        Certificate(epoch="2027-11-24", recipient="", index=None, ended_at=None, rule="retention", sheets=0, copies=0,
                    destroyed_at="2027-11-25T03:00:00.000Z", key_list_version=1, files=[], canaries={},
                    second=keys.fingerprint(second.public_key()))
    )  # fmt: skip
    certificate, kept = layout.certificate("2027-11-24.destroyed.json"), layout.hold_member(record.call_id, hold.HOLD)
    return {
        layout.opened(record.call_id, "call.json"): whole,
        layout.opened(record.call_id, "call.wav"): b"",
        layout.sigsum(record.call_id, ".proof"): b"",
        kept: held,
        kept + ".sig": sshsig.sign(held, key, namespaces.HOLD).encode(),
        certificate: gone,
        certificate + ".sig": sshsig.sign(gone, key, namespaces.CERTIFICATE).encode(),
        certificate + ".second.sig": sshsig.sign(gone, second, namespaces.CERTIFICATE).encode(),
    }


def of_all_kinds() -> list[CallRecord]:
    whole = CallRecord(
        call_id=CALL_ID, unit=UNIT, line=3, direction="in", ring_at="2026-11-24T22:55:50.000Z",
        answered_at="2026-11-24T22:56:00.123Z", answered_by="hook", ended_at="2026-11-24T23:01:00.000Z",
        ended_by="power", duration_s=299.877, recovered=True, clock=ClockRecord(synced=True, offset_ms=-0.25),
        marks=[Mark(12.0, "abuse"), Mark(13.0, "mark_far")], files={"meta.age": "0" * 64},
        notices=[NoticeRecord(id="hall", started_at="2026-11-24T22:56:00.500Z", proof="partial"),
                 NoticeRecord(id="hall", started_at="2026-11-24T22:56:02.000Z", ended_at="2026-11-24T22:56:07.000Z",
                              proof="full", score=0.97)],
        audio=Audio(samples=2_344_000, gaps=[Gap(1.5, 20.0, "overrun"), Gap(293.0, 5200.0, "power", True)]),
        retention=Retention(class_="marked", epoch="2027-11-24", until="2027-11-24T15:00:00.000Z"),
    )  # fmt: skip
    missed = CallRecord(
        call_id=SECOND, unit=UNIT, line=4, disposition="missed", why="not_answered", clock=ClockRecord(synced=False)
    )
    return [whole, missed]


def derived(records: list[CallRecord]) -> dict[str, str]:
    sources = fixed(records)
    return {name: data.decode() for name, data in finish.derived(sources, facts.load(sources)).items()}


def pinned(pages: Iterable[bytes]) -> str:
    """The SHA-256 of the pages without the checker's version and hash, which change by themselves."""
    made = b"".join(pages).decode().replace(layout.CHECKER_SHA256, "")
    return hashlib.sha256(re.sub(r"(check-bundle\.sh, (?:version|버전)) \d+", r"\1", made).encode()).hexdigest()


def test_the_words_are_those_of_this_number() -> None:
    sources = fixed(of_all_kinds())
    assert pinned(finish.derived(sources, facts.load(sources)).values()) == PINNED[layout.TEXTS]


def test_what_a_judge_asks_stands_there() -> None:
    made = derived(of_all_kinds())
    english = made["report.en.html"]
    for text in (
        "2026가합117 &lt;&amp;&gt;",
        "2026-11-25 07:56:00.123 Korean time (2026-11-24 22:56:00.123 UTC) (by the handset)",
        "2026-11-25 08:01:00.000 Korean time (2026-11-24 23:01:00.000 UTC) (a power cut)",
        "not played to its end. Only a part of it was measured on the line.",
        "It was measured on the line in full.",
        "at 1.500 s, 20 ms: the sound card was not read in time",
        "at 293.000 s, 5200 ms: a power cut (possibly longer)",
        "Recovered after a power cut",
        "marked as abuse from this telephone",
        "Was not set to standard time",
        "Nothing was recorded.",
        "Warning: it was opened without the approval of two people.",
        "Case 2026-117, legal basis Act 39, until 2028-01-01 09:00:00.000 Korean time",
        "was destroyed at 2027-11-25 12:00:00.000 Korean time",
        "A witness has also signed that log",
    ):
        assert text in english, text
    korean = made["report.ko.html"]
    for text in ("2026-11-25 07:56:00.123 한국 표준시", "고지가 회선에서 온전히 들린 것이 측정되었습니다.", "(정전)"):
        assert text in korean, text


def test_what_is_not_there_is_said_not_to_be_proven() -> None:
    sources = fixed(of_all_kinds())
    left = {name: data for name, data in sources.items() if "/witness" not in name and "opened/" not in name}
    page = html.unescape(finish.derived(left, facts.load(left))["report.en.html"].decode())
    assert "log was not started again from the beginning: no witness has signed it (closet-3f)." in page
    assert "WAV" not in page


@pytest.mark.parametrize("language", layout.REPORTS)
def test_the_report_has_no_scripts_and_fetches_nothing(language: str) -> None:
    page = derived(of_all_kinds())[layout.REPORTS[language]]
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    assert not tags.seen & {"script", "link", "img", "iframe", "object", "form"}
    assert not re.search(r"https?://|url\(|@import", page)
    assert f'<html lang="{language}">' in page


def test_the_commands_stand_in_both_reports_for_a_person_to_type(bundled: BundleRig) -> None:
    """The test types them one by one in the unpacked bundle, as a reader would."""
    assert bundled.bundle(*bundled.everything, bundled.opened()) == 0
    case = unpacked(bundled.root / "case.zip", bundled.root / "case")
    typed = []
    for name in layout.REPORTS.values():
        page = html.unescape((case / name).read_text())
        typed.append(re.findall(r"<pre>((?:find|ssh-|\(cd|test|inclusion|openssl|sigsum).*?)</pre>", page, re.DOTALL))
        assert "echo $?" in page
    assert typed[0] == typed[1]
    assert len(typed[0]) > 20
    given = f"set -euo pipefail\nsigners={bundled.rig.signers_file}\ntsa_ca={bundled.ca}\n"
    done = run(["bash", "-c", given + "\n".join(typed[0])], cwd=case)  # in the order of the page
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_a_stamp_over_sha1_fails_when_typed(bundled: BundleRig, digest: str) -> None:
    """`openssl ts -verify` takes it; other bytes can be made for it."""
    assert bundled.bundle(*bundled.everything) == 0
    case = unpacked(bundled.root / "case.zip", bundled.root / "case")
    head = case / "logs" / UNIT / "stamp.json"
    (bundled.root / "again").mkdir()
    token, ca = stamped(head, bundled.root / "again", digest=digest)
    head.with_name("stamp.json.tsr").write_bytes(token)
    (bundled.root / "ca.pem").write_bytes(ca)
    page = html.unescape((case / "report.en.html").read_text())
    (typed,) = re.findall(r"<pre>(openssl.*?)</pre>", page, re.DOTALL)
    done = run(["bash", "-c", f"tsa_ca={bundled.root / 'ca.pem'}\n{typed}"], cwd=case)
    assert (done.returncode == 0) is (digest == "sha256"), done.stdout
    assert b"Verification: OK" in done.stdout
    head.write_bytes(head.read_bytes() + b" ")
    assert run(["bash", "-c", f"tsa_ca={bundled.root / 'ca.pem'}\n{typed}"], cwd=case).returncode != 0
    assert sorted(path.name for path in case.iterdir() if path.is_file()) == sorted(
        ["SHA256SUMS", "bundle.json", "report.en.html", "report.ko.html", "signers"]
    )


def test_the_report_names_the_published_checker(bundled: BundleRig) -> None:
    assert bundled.bundle() == 0
    line = (ROOT / "docs/check-bundle.sh.sha256").read_text().strip()
    assert run(["sha256sum", "--check", "--quiet", "check-bundle.sh.sha256"], cwd=ROOT / "docs").returncode == 0
    assert line.split() == [layout.CHECKER_SHA256, layout.CHECKER_NAME]
    assert f"# {layout.CHECKER_NAME}, version {layout.CHECKER_VERSION}:" in (ROOT / "docs/check-bundle.sh").read_text()
    for name in layout.REPORTS.values():
        page = html.unescape(members(bundled.root / "case.zip")[name].decode())
        assert line in page
        assert "docs/check-bundle.sh" in page


def test_no_number_and_no_name(bundled: BundleRig) -> None:
    assert bundled.bundle(*bundled.everything, bundled.opened()) == 0
    for name, data in members(bundled.root / "case.zip").items():
        personal = [text for text in ("01012345678", "0212345678", "홍길동", "raw line") if text.encode() in data]
        assert bool(personal) == (name == f"opened/{CALL_ID}/call.json"), name


def test_every_word_of_a_record_has_its_words() -> None:
    of_gaps = ("ring_damaged", "ring_overtaken", "disk_full", "disk_error", "power", "not_announced")
    for kind, values in (
        ("direction", get_args(Direction)),
        ("disposition", get_args(Disposition)),
        ("answered_by", get_args(AnsweredBy)),
        ("ended_by", get_args(EndedBy)),
        ("proof", ("full", "partial", "absent", "none")),
        ("seen_by", get_args(ReleaseSeenBy)),
        ("ended_for", ("code", "time")),
        ("cause", (*GAP_CAUSES.values(), *of_gaps)),
    ):
        for value in values:
            assert value in words._WORDS[kind]
            assert re.search("[가-힣]", words.word("ko", kind, value))


def test_every_sentence_is_said_in_both_languages() -> None:
    for korean, english in texts._SENTENCES.values():
        assert korean.count("{") == english.count("{")
        assert re.search("[가-힣]", korean) or korean == english
        assert not re.search("[가-힣]", english)
