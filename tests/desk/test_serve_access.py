# SPDX-License-Identifier: Apache-2.0
"""The access log: written before anything is shown, chained, signed, and changes are detected."""

from __future__ import annotations

import asyncio
import ipaddress
import resource
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from servesite import ServeSite
from sqlalchemy import Engine, delete, insert, inspect, select, text, update
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from linetap_core import cli
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces
from linetap_desk.serve import cleanup, migrations, opendatabase, service
from linetap_desk.serve.database import accesslog
from linetap_desk.serve.database.accesslog import AccessTable, ChainFault, Subject, rekey, verify_chain, without_numbers
from linetap_desk.serve.database.tables import access, access_anchor, access_head, metadata
from linetap_desk.serve.database.transactions import overwrite, writing
from linetap_desk.serve.handling.site import Route, Site
from linetap_desk.serve.login import login
from linetap_desk.serve.people import accounts
from linetap_desk.web.secure import client_address
from postgres_rig import Postgres

NOW_NS = parse_rfc3339("2026-11-24T01:00:00Z")
DAY_NS = 86_400 * NS_PER_S
KEPT_DAYS = 731
CALL = "20261124T225600.123Z-L03"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, run_dir: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{run_dir}/serve.db"
        return
    server: Postgres = request.getfixturevalue("server")
    yield server.url
    engine = opendatabase.open_there(server.url)
    with engine.begin() as db:
        db.execute(text("DROP SCHEMA public CASCADE"))
        db.execute(text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS, NS_PER_S)


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return keys.new_unit_key()


@pytest.fixture
def table(url: str, clock: ManualClock, key: Ed25519PrivateKey) -> Iterator[AccessTable]:
    engine = opendatabase.open_own(url)
    yield AccessTable(engine, clock, key)
    engine.dispose()


def fill(table: AccessTable, count: int = 5) -> None:
    for number in range(count):
        table.append("kim", "10.0.0.7", "view_call", Subject(calls=(f"{CALL}{number}",), purpose="complaint"))


def judged(engine: Engine) -> str:
    """The code of the fault, or `whole`."""
    with engine.connect() as db:
        try:
            verify_chain(db)
        except ChainFault as fault:
            return fault.code
    return "whole"


def test_the_migrations_make_what_the_tables_say(url: str) -> None:
    engine = opendatabase.open_own(url)
    with engine.connect() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []
        for table in metadata.tables.values():  # Alembic does not compare them
            keys_there = inspect(db).get_pk_constraint(table.name)["constrained_columns"]
            assert set(keys_there) == {column.name for column in table.primary_key}
    migrations.upgrade(engine)
    for version in ("9999", "0010"):
        with writing(engine) as db:
            db.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
        with pytest.raises(BadInput, match="later version of linetap, or before"):
            opendatabase.open_own(url)
    engine.dispose()


def test_what_was_written_is_whole_and_stock_ssh_keygen_says_so_of_its_head(
    table: AccessTable, tmp_path: Path, key: Ed25519PrivateKey
) -> None:
    fill(table)
    with table.engine.connect() as db:
        verdict = verify_chain(db)
        head = db.execute(select(access_head)).one()
    assert (verdict.rows, verdict.head.seq) == (5, 5)
    (tmp_path / "sig").write_text(head.sig)
    (tmp_path / "signers").write_text(f"desk {keys.public_line(key.public_key())}\n")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "signers"), "-I", "desk"]
    command += ["-n", namespaces.ACCESS_TABLE]
    said = subprocess.run([*command, "-s", str(tmp_path / "sig")], input=head.head.encode(), timeout=120, check=False)
    assert said.returncode == 0


def _swap(engine: Engine) -> None:
    with writing(engine) as db:
        for old, new in ((2, 99), (3, 2), (99, 3)):
            db.execute(update(access).where(access.c.seq == old).values(seq=new))


def _rewrite(first: int, last: int) -> Callable[[Engine], None]:
    """Rewrites rows like somebody who knows how a row is hashed, without the key."""

    def spoil(engine: Engine) -> None:
        with writing(engine) as db:
            before = db.execute(select(access.c.hash).where(access.c.seq == first - 1)).scalar_one()
            for seq in range(first, last + 1):
                row = dict(db.execute(select(access).where(access.c.seq == seq)).mappings().one()) | {"person": "lee"}
                before = accesslog.hash_of(row, before)
                db.execute(update(access).where(access.c.seq == seq).values(person="lee", hash=before))

    return spoil


def _execute(*statements: object) -> Callable[[Engine], None]:
    def spoil(engine: Engine) -> None:
        with writing(engine) as db:
            for statement in statements:
                db.execute(statement)  # type: ignore[call-overload]

    return spoil


SPOILED: dict[str, tuple[Callable[[Engine], None], str]] = {
    **{
        f"changed {name}": (_execute(update(access).where(access.c.seq == 3).values({name: "x"})), "access_row_changed")
        for name in (*(field for field in accesslog.FIELDS if field != "seq"), "hash")
    },
    "missing": (_execute(delete(access).where(access.c.seq == 3)), "access_row_missing"),
    "missing and numbered anew": (
        _execute(delete(access).where(access.c.seq == 3), update(access).where(access.c.seq == 4).values(seq=3)),
        "access_row_changed",
    ),
    "the first": (_execute(delete(access).where(access.c.seq == 1)), "access_row_missing"),
    "the last": (_execute(delete(access).where(access.c.seq == 5)), "access_log_shortened"),
    "all": (_execute(delete(access)), "access_log_shortened"),
    "reordered": (_swap, "access_row_changed"),
    "one more": (
        _execute(
            insert(access).values(
                seq=6, at="", person="", address="", act="", outcome="", calls="", terms="", purpose="",
                case_number="", remark="", hash="0" * 64,
            )
        ),
        "access_row_changed",
    ),
    "changed with a hash that fits": (_rewrite(3, 3), "access_row_changed"),
    "changed from there to the end": (_rewrite(3, 5), "access_log_rewritten"),
    "no head": (_execute(delete(access_head)), "access_head_bad"),
    "another head": (_execute(update(access_head).values(head='{"kind":"head"}')), "access_head_bad"),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILED)
def test_what_somebody_changed_is_found(what: str, run_dir: Path, clock: ManualClock, key: Ed25519PrivateKey) -> None:
    table = AccessTable(opendatabase.open_own(f"sqlite:///{run_dir}/serve.db"), clock, key)
    fill(table)
    spoil, code = SPOILED[what]
    spoil(table.engine)
    assert judged(table.engine) == code
    table.engine.dispose()


def test_nobody_goes_on_from_rows_of_who_has_no_key(table: AccessTable, clock: ManualClock) -> None:
    """Anybody can rebuild the chain and sign it with another key; ours must not be added to it."""
    fill(table)
    forger = AccessTable(table.engine, clock, keys.new_unit_key())
    with writing(table.engine) as db:
        db.execute(delete(access))
        db.execute(delete(access_head))
    fill(forger, 4)
    with table.engine.connect() as db:
        assert keys.fingerprint(verify_chain(db).key) != keys.fingerprint(table.key.public_key())
    with pytest.raises(ChainFault, match="access_head_foreign"):
        fill(table, 1)
    with pytest.raises(ChainFault, match="access_head_foreign"):
        rekey(table, table.key.public_key())


def test_another_key_once_all_is_whole_under_the_old_one(table: AccessTable, clock: ManualClock) -> None:
    fill(table)
    clock.advance((KEPT_DAYS + 1) * DAY_NS)
    fill(table)
    assert cleanup.prune(table, KEPT_DAYS) == 5
    new = AccessTable(table.engine, clock, keys.new_unit_key())
    with pytest.raises(ChainFault, match="access_head_foreign"):
        fill(new, 1)
    assert rekey(new, table.key.public_key()) == 5
    fill(new, 1)
    with table.engine.connect() as db:
        verdict = verify_chain(db)
    assert (verdict.rows, verdict.head.seq) == (7, 12)
    with pytest.raises(ChainFault, match="access_head_foreign"):
        fill(table, 1)


def test_an_older_state_with_its_own_head_is_found_by_a_kept_one(
    table: AccessTable, url: str, tmp_path: Path, key: Ed25519PrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    public = tmp_path / "serve-log.key.pub"
    public.write_text(keys.public_line(key.public_key()) + "\n")
    fill(table, 3)
    with table.engine.connect() as db:
        old = db.execute(select(access_head)).one()
    fill(table, 2)
    command = ["desk", "access", "verify", "--db", url, "--key", str(public)]
    assert cli.main(["desk", "access", "head", "--db", url]) == 0
    kept = tmp_path / "kept.head"
    kept.write_text(capsys.readouterr().out)
    assert cli.main([*command, "--head", str(kept)]) == 0
    assert cli.main(command) == 1
    assert "consistent" in capsys.readouterr().err
    with writing(table.engine) as db:
        db.execute(delete(access).where(access.c.seq > 3))
        db.execute(update(access_head).values(head=old.head, sig=old.sig))
    assert cli.main([*command, "--head", str(kept)]) == 1
    assert "had 5 rows" in capsys.readouterr().err
    public.write_text(keys.public_line(keys.new_unit_key().public_key()) + "\n")
    assert cli.main(command) == 1
    assert "not by SHA256:" in capsys.readouterr().err


def test_nothing_goes_on_from_a_log_that_was_cut(table: AccessTable) -> None:
    fill(table)
    with writing(table.engine) as db:
        db.execute(delete(access).where(access.c.seq == 5))
    with pytest.raises(ChainFault, match="access_log_changed"):
        fill(table, 1)


def test_several_write_at_once(table: AccessTable, url: str, clock: ManualClock, key: Ed25519PrivateKey) -> None:
    other = AccessTable(opendatabase.open_own(url), clock, key)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fill, [table, other] * 4))
    with table.engine.connect() as db:
        assert verify_chain(db).rows == 40
    other.engine.dispose()


def test_attempts_at_once_are_counted_one_by_one(table: AccessTable) -> None:
    def begin(_number: int) -> bool:
        with writing(table.engine) as db:
            return login.begin_attempt(db, "kim", "10.0.0.7", NOW_NS).allowed

    with ThreadPoolExecutor(12) as pool:
        allowed = list(pool.map(begin, range(36)))
    assert allowed.count(True) == login.MOST_ATTEMPTS["name"]


def test_two_years_and_the_anchor_of_what_has_gone(table: AccessTable, clock: ManualClock) -> None:
    for _ in range(5):
        fill(table, 2)
        clock.advance(DAY_NS)
    assert cleanup.prune(table, KEPT_DAYS) == 0
    clock.advance((KEPT_DAYS - 4) * DAY_NS)
    assert cleanup.prune(table, KEPT_DAYS) == 2
    assert cleanup.prune(table, KEPT_DAYS) == 0, "one pass a day"
    assert judged(table.engine) == "whole"
    clock.advance(DAY_NS)
    assert cleanup.prune(table, KEPT_DAYS) == 2
    fill(table, 1)
    with table.engine.connect() as db:
        verdict = verify_chain(db)
    assert (verdict.rows, verdict.head.seq) == (7, 11)
    assert verdict.anchor is not None
    assert verdict.anchor.seq == 4
    with writing(table.engine) as db:
        db.execute(update(access_anchor).values(head=access_anchor.c.head + " "))
    assert judged(table.engine) == "access_head_bad"
    with writing(table.engine) as db:
        db.execute(delete(access_anchor))
    assert judged(table.engine) == "access_row_missing"


def test_a_clock_that_is_years_ahead_takes_a_week_at_most(table: AccessTable, clock: ManualClock) -> None:
    for _ in range(20):
        fill(table, 1)
        clock.advance(DAY_NS)
    clock.step_utc(10 * 365 * DAY_NS)
    assert cleanup.prune(table, KEPT_DAYS) == 7
    assert cleanup.prune(table, KEPT_DAYS) == 0


@pytest.mark.parametrize("first", [True, False])
def test_a_clock_that_was_years_ahead_keeps_no_row_for_ever(
    table: AccessTable, clock: ManualClock, first: bool
) -> None:
    ahead_ns = 70 * 365 * DAY_NS
    fill(table, 0 if first else 10)
    clock.step_utc(ahead_ns)
    fill(table, 1)  # dated 2096
    assert cleanup.prune(table, KEPT_DAYS) == (0 if first else 10)
    clock.step_utc(-ahead_ns)
    clock.advance(DAY_NS)
    fill(table, 3)
    clock.advance((KEPT_DAYS + 2) * DAY_NS)
    fill(table, 2)
    assert cleanup.prune(table, KEPT_DAYS) == 4
    assert judged(table.engine) == "whole"
    with table.engine.connect() as db:
        assert verify_chain(db).rows == 2


def test_a_full_disk_ends_no_cleanup(table: AccessTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own errors are none of SQLAlchemy's, and the task that deletes runs until the pages end."""
    called: list[str] = []
    fill(table, 200)

    def step(name: str) -> Callable[..., None]:
        def do(*_: object) -> None:
            called.append(name)
            if name == "clear_ended":
                raise ValueError("a time that is none")
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
            try:
                overwrite(table.engine)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)

        return do

    for path in ("store.empty_expired_partials", "citizens.clear_ended", "reviews.prune", "prune"):
        monkeypatch.setattr(f"linetap_desk.serve.cleanup.{path}", step(path.rpartition(".")[2]))
    settings = SimpleNamespace(access_days=KEPT_DAYS)
    site: Any = SimpleNamespace(own=table.engine, clock=table.clock, access=table, settings=settings)

    async def run() -> None:
        async with cleanup.lifespan(site):
            while len(called) < 4:
                await asyncio.sleep(0.01)

    asyncio.run(run())
    assert called == ["empty_expired_partials", "clear_ended", "prune", "prune"]


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("010-1234-5678", "010-****-5678"),
        ("+82 10 1234 5678", "010-****-5678"),
        ("01012345678 complains", "010-****-5678 complains"),
        ("02 (123) 4567 and (02)123-4567", "02-***-4567 and (02-***-4567"),
        ("1588-1234", "****-1234"),
        ("02) 123-4567", "02-***-4567"),
        ("from 2026-11-24 to 2026-11-25 line 3", "from 2026-11-24 to 2026-11-25 line 3"),
        ("case 2026-117", "case 2026-117"),
    ],
)
def test_no_number_gets_into_the_log(typed: str, written: str) -> None:
    assert without_numbers(typed) == written


def test_a_row_says_who_where_what_whose_and_why(table: AccessTable) -> None:
    why = Subject(calls=(CALL, "b"), terms="ends 5678", purpose="complaint 010-1234-5678", case="2026-117\0\ud800")
    table.append("kim", "10.0.0.7", "play", why)
    with table.engine.connect() as db:
        row = db.execute(select(access)).mappings().one()
    assert {name: row[name] for name in accesslog.FIELDS} == {
        "seq": 1, "at": rfc3339(NOW_NS), "person": "kim", "address": "10.0.0.7", "act": "play", "outcome": "shown",
        "calls": f"{CALL} b", "terms": "ends 5678", "purpose": "complaint 010-****-5678",
        "case_number": "2026-117\\ud800", "remark": "",
    }  # fmt: skip


# ----- before the answer

asked: list[str] = []


async def _call(request: Request, _site: Site) -> Response:
    asked.append(request.path_params["call_id"])
    return PlainTextResponse("a call")


TABLE: tuple[Route, ...] = (Route("/call/{call_id}", ("GET",), frozenset({"officer"}), "view_call", _call),)


@pytest.fixture
def served(run_dir: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServeSite]:
    asked.clear()
    monkeypatch.setattr(service.make, "__defaults__", ((*service.ROUTES, *TABLE),))
    with ServeSite(run_dir / "site", clock, more='proxies = ["127.0.0.1"]') as served:
        yield served


def written(served: ServeSite) -> list[tuple[str, ...]]:
    with served.site.own.connect() as db:
        rows = db.execute(select(access).order_by(access.c.seq)).all()
    return [(row.person, row.address, row.act, row.outcome, row.calls) for row in rows]


def test_a_view_stands_there_before_it_is_answered_and_a_refusal_too(served: ServeSite) -> None:
    ahead = {"x-forwarded-for": "6.6.6.6, 10.0.0.7"}
    assert served.client("officer").get(f"/call/{CALL}", headers=ahead).text == "a call"
    assert served.client("watch").get(f"/call/{CALL}", headers=ahead).status_code == 403
    assert served.client().get(f"/call/{CALL}").status_code == 303
    assert written(served) == [
        ("officer", "10.0.0.7", "view_call", "shown", CALL),
        ("watch", "10.0.0.7", "view_call", "refused", CALL),
    ]
    assert asked == [CALL]


@pytest.mark.parametrize("trouble", ["no table", "cut", "read only"])
def test_what_cannot_be_written_is_not_shown(served: ServeSite, trouble: str) -> None:
    client = served.client("officer")
    assert client.get(f"/call/{CALL}").status_code == 200
    asked.clear()
    statement = {
        "no table": "ALTER TABLE access RENAME TO gone",
        "cut": "DELETE FROM access",
        "read only": "CREATE TRIGGER no BEFORE INSERT ON access BEGIN SELECT RAISE(ABORT, 'no'); END",
    }[trouble]
    with writing(served.site.own) as db:
        db.execute(text(statement))
    answer = client.get(f"/call/{CALL}")
    assert answer.status_code == 503
    assert "a call" not in answer.text
    assert asked == []


def test_the_whole_of_it_with_postgresql(run_dir: Path, server: Postgres, clock: ManualClock) -> None:
    with ServeSite(run_dir / "site", clock, more=f'db = "{server.url}"') as served:
        accounts.add_account(served.site.access, "test", "kim", "김민지", ["auditor"], "correct horse battery", None)
        client = served.client()
        for name, password, status in (
            ("kim", "wrong", 403), ("\0", "x", 403), ("k" * 9000, "x", 403), ("kim", "correct horse battery", 303),
        ):  # fmt: skip
            assert served.post_anew(client, "/login", name=name, password=password).status_code == status
        for path in ("/", "/review", "/review/2026-10", "/review/2026-10/rows?person=a%00b"):
            assert client.get(path).status_code == 200
        assert served.post(client, "/review/2026-10", remark="nothing to say").status_code == 303
        accounts.lock_account(served.site.access, "test", "kim", True)
        assert client.get("/").status_code == 303
        assert judged(served.site.own) == "whole"


def test_no_login_that_is_not_written(served: ServeSite) -> None:
    accounts.add_account(served.site.access, "test", "kim", "김민지", ["officer"], "correct horse battery", None)
    with writing(served.site.own) as db:
        db.execute(text("DELETE FROM access_head"))
    client = served.client()
    assert client.get("/login").status_code == 200
    fields = {"name": "kim", "password": "correct horse battery"}
    answer = served.post_anew(client, "/login", **fields)
    assert answer.status_code == 503
    assert "__Host-linetap-session" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("127.0.0.1", ["10.0.0.7"], "10.0.0.7"),
        ("127.0.0.1", ["6.6.6.6, 10.0.0.7"], "10.0.0.7"),
        ("127.0.0.1", ["6.6.6.6", "10.0.0.7, 127.0.0.1"], "10.0.0.7"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["::ffff:10.0.0.7"], "10.0.0.7"),
        ("10.0.0.9", ["10.0.0.7"], "10.0.0.9"),
        ("", ["10.0.0.7"], ""),
    ],
)
def test_from_where(peer: str, forwarded: list[str], address: str) -> None:
    headers = [(b"x-forwarded-for", text.encode()) for text in forwarded]
    scope = {"type": "http", "client": (peer, 1) if peer else None, "headers": headers}
    assert client_address(Request(scope), frozenset({ipaddress.ip_address("127.0.0.1")})) == address
