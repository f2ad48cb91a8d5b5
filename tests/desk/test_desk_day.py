# SPDX-License-Identifier: Apache-2.0
"""A desk after a day of use: its disk, and the memory of ingest and pages, searched for forbidden data.

All parts are separate processes or files: a real unit's reports and copies, a real broker, `linetap desk ingest`,
`linetap desk serve`, and a person who searches, opens calls, and types a telephone number into other fields.

The number is in the unit's sealed call. Until it is typed, it is in neither memory; then it stays in the pages' freed
memory for a while (docs/desk-serve.md), and on no disk. test_serve_forgets.py tests that no object keeps it.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import picture_release
import pytest
from servesite import HOST
from sqlalchemy import select

from broker import Broker, until
from ingest_rig import Ingesting
from kept_rig import Kept
from linetap_bench.measure.desk import session
from linetap_core.evidence.keys import keys
from linetap_core.records import Caller, CallRecord
from linetap_desk.ingest import tables
from linetap_desk.serve.people import sessions
from linetap_desk.web import secure
from memory import found_in, spelled

NUMBER = "01098765432"
TYPED = (NUMBER, "010-9876-5432", "+82 10-9876-5432")
AGE = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
SAMPLES = 8000


def files_with(folder: Path, wanted: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and wanted in path.read_bytes()]


def secrets_of(floor: Kept, folder: Path) -> Iterator[tuple[str, bytes]]:
    """The secrets of a unit and of the two officers, which the desk must not have."""
    yield "PCM", random.Random(1).randbytes(SAMPLES)[1000:1064]
    yield "the unit's private key", keys.load_unit_key(Path(floor.config.key).read_bytes()).private_bytes_raw()
    for name in ("custodian", "epoch"):
        (line,) = [line for line in (folder / f"{name}.txt").read_text().split() if line.startswith("AGE-SECRET-KEY-")]
        yield f"the {name}'s private key", line.encode()


def test_what_must_not_be_at_the_desk_is_not(tmp_path: Path, run_dir: Path, broker: Broker) -> None:
    unit, desk = tmp_path / "unit", tmp_path / "desk"
    unit.mkdir()
    (desk / "copies").mkdir(parents=True)
    with Kept(unit, run_dir, broker.port) as floor, Ingesting(desk, broker.port, floor.signers) as ingest:
        copies = f"file://{desk / 'copies'}"
        ingest.start("--key", str(floor.desk_key), "--copy", copies)
        until(lambda: "session_new" in ingest.said(), why=ingest.said)
        floor.reporter(desk_s=3)
        record = floor.call(SAMPLES, caller=Caller(number=NUMBER, by="bell202"))
        until(lambda: any((desk / "copies").rglob("record.json.sig")), why=ingest.said)
        until(lambda: bool(_copied(ingest)), why=ingest.said)
        (desk / "serve-log.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
        config = desk / "desk.toml"
        config.write_text(
            f'db = "{ingest.db}"\nsigners = "{floor.signers}"\n[broker]\nhost = "{HOST}"\nport = {broker.port}\n'
            f'[copy]\nstore = "{copies}"\n[serve]\nlisten = "{HOST}:0"\n{picture_release.SERVE}\n'
        )
        picture_release.write_roles(desk)
        token = session(config, "kim", "officer")
        log = desk / "serve.log"
        command = [sys.executable, "-m", "linetap", "desk", "serve", "--config", str(config)]
        with log.open("wb") as said, subprocess.Popen(command, stderr=said) as serve:
            try:
                until(lambda: "http://" in log.read_text(), 120)
                url = next(word for word in log.read_text().split() if word.startswith("http://"))
                with httpx.Client(base_url=url, cookies={sessions.COOKIE: token}, timeout=120) as officer:
                    found = [officer.get(path, params=typed) for path, typed in looks(record)]
                    assert [answer.status_code for answer in found] == [200] * len(found)
                    assert record.call_id in found[1].text
                    for path, fields in asks(record):
                        form = {secure.FIELD: secure.token_of(token), **fields}
                        assert officer.post(path, data=form, headers={"origin": url}).status_code == 303
                    for name, process in (("pages", serve), ("ingest", ingest)):
                        assert not found_in(process.pid, *spelled(NUMBER)), f"the number is in the memory of the {name}"
                    for number in TYPED:
                        for path, typed in types(number):
                            officer.get(path, params=typed)
                limits = Path(f"/proc/{serve.pid}/limits").read_text()
                assert re.search(r"^Max core file size +0 +0", limits, re.MULTILINE), "a core would have what was typed"
                call = record.call_id.encode()
                assert found_in(serve.pid, call), "what must be there is not found: this test is blind"
                assert found_in(ingest.pid, call), "what must be there is not found: this test is blind"
                for name, secret in secrets_of(floor, unit):
                    assert not found_in(serve.pid, secret), f"{name} is in the pages' memory"
                    assert not found_in(ingest.pid, secret), f"{name} is in the ingest's memory"
                assert not found_in(ingest.pid, *spelled(NUMBER))
            finally:
                serve.terminate()
                serve.wait(120)
        assert ingest.end() == 0
        assert files_with(desk, call), "what must be there is not found: this test is blind"
        for name, secret in [*secrets_of(floor, unit), *(("the number", text) for text in spelled(NUMBER))]:
            assert not files_with(desk, secret), f"{name} is on the desk's disk"


@pytest.mark.parametrize("wide", ["", "님", "😀"])
def test_what_is_planted_is_found(wide: str) -> None:
    """Each form separately, in a text of each of Python's widths."""
    plant = (
        "import sys; kept = [text[::-1] + sys.argv[1] for text in sys.argv[2:]]; print(1, flush=True); sys.stdin.read()"
    )
    encoding = {"": "ascii", "님": "utf-16-le", "😀": "utf-32-le"}[wide]
    for text in spelled(NUMBER)[::3]:
        backwards = text.decode()[::-1]
        with subprocess.Popen(
            [sys.executable, "-c", plant, wide, backwards], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            assert text.decode().encode(encoding) in found_in(process.pid, *spelled(NUMBER))


def looks(record: CallRecord) -> list[tuple[str, dict[str, str]]]:
    """A day of a person who knows the number but types only its end, as in a search."""
    return [
        (f"/calls/{record.unit}/{record.call_id}", {}),
        ("/calls/found", {}),
        ("/calls/found", {"extension": NUMBER[-4:]}),
        ("/calls/found", {"case": "2026-0042", "unit": record.unit, "from": "2026-11-24"}),
        ("/fleet", {}),
        ("/release", {}),
        (f"/release/ask/{record.unit}/{record.call_id}", {}),
        (f"/hold/ask/{record.unit}/{record.call_id}", {}),
    ]


def asks(record: CallRecord) -> list[tuple[str, dict[str, str]]]:
    call = {"unit": record.unit, "call_id": record.call_id, "case": "2026-117"}
    return [
        ("/release/ask", {**call, "purpose": "dispute", "requester": "Jung", "recipient": AGE, "days": "7"}),
        ("/hold/ask", {**call, "basis": "Act 215", "until": "2031-06-30"}),
    ]


def types(number: str) -> list[tuple[str, dict[str, str]]]:
    """The number in every other field."""
    fields = ("extension", "department", "unit", "case", "from")
    return [("/calls/found", {name: number}) for name in fields] + [
        (f"/calls/floor-03/{number}", {}), (f"/release/{number}", {}), (f"/fleet/unit/{number}", {}),
    ]  # fmt: skip


def _copied(ingest: Ingesting) -> list[str]:
    with ingest.engine.connect() as db:
        return list(db.execute(select(tables.calls.c.call_id).where(tables.calls.c.copied_at.is_not(None))).scalars())
