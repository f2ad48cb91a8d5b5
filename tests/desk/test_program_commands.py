# SPDX-License-Identifier: Apache-2.0
"""Commands to units by buttons alone: signed in the program by the holder of the role, by a second person if required,
uploaded to the page and sent.

Verified by a unit's own judgement, stock ssh-keygen and sha256sum.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from program_rig import InThread, OnWindows
from release_house import LEGAL, NOW_NS, ReleaseHouse, refusal, served_at
from test_serve_commands import answer, online, sent
from test_serve_hold_sent import settings as ingest_settings

import sealing_rig
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import Signed
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.signing import namespaces
from linetap_desk.accesslog import roles
from linetap_desk.accesslog.deskfolder import open_desk
from linetap_desk.custody.program import commanding, settings
from linetap_desk.custody.program.settings import Settings
from linetap_desk.ingest import service
from linetap_desk.ingest.batches import BatchSender
from linetap_desk.inputs import strict
from release_rig import HAN, KIM, PARK, PEOPLE, Desk
from sealing_rig import UNIT

OPERATOR, SECOND = "Bae Su", "Seo Ji"
SHA, CHALLENGE, NUMBER = "5f" * 32, "5f" * 16, "5f" * 8
TOML = f'unit = "{UNIT}"\n[recording]\nnotice = "한글"\n'


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS, NS_PER_S)


@pytest.fixture
def house(desk: Desk, clock: ManualClock) -> Iterator[ReleaseHouse]:
    (desk.root / "out").mkdir()
    for name in (OPERATOR, SECOND):
        desk.ssh_key(name)
    desk.sign_roles(2, PEOPLE | {OPERATOR: "operator", SECOND: "vault"})
    desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
    with served_at(desk, clock, 'outgoing = "outgoing"\n') as house:
        online(house, [UNIT])
        yield house


@pytest.fixture
def carrier(house: ReleaseHouse, clock: ManualClock) -> BatchSender:
    ours = ingest_settings(house)
    assert ours.outgoing is not None
    return BatchSender(ours.outgoing, lambda: service.in_force(ours), house.engine, clock)


def of(desk: Desk, who: str, medium: str = "") -> Settings:
    named = "" if who == "authority" else who
    return Settings(name=named, signing=str(desk.root / who), output=str(desk.root / "out"), medium=medium)


def made(desk: Desk, who: str, verb: str, about: str = UNIT, **fields: str) -> Path:
    """The file written by the program."""
    with InThread(desk, of(desk, who)) as run:
        page = run.browser.do("/commands", verb=verb, about=about, **fields)
    found = re.search(r"(/\S+\.commands)", page)
    assert found, page
    return Path(found[1])


def configured(desk: Desk, who: str, about: str = f"{UNIT} config {SHA}") -> Path:
    chosen = desk.root / "unit.toml"
    chosen.write_text(TOML)
    with InThread(desk, of(desk, who)) as run:
        shown = run.browser.choose("document", chosen)
        assert "한글" in shown, "what is signed is read before"
        sha256 = re.search(r'name="sha256" value="(\w+)"', shown)
        assert sha256
        chosen.write_text(TOML + "# another\n")
        assert "changed since it was shown" in run.browser.refused(
            "/commands", verb="config", about=about, sha256=sha256[1]
        )
        chosen.write_text(TOML)
        run.browser.do("/commands", verb="config", about=about, sha256=sha256[1])
    (path,) = written(desk, "config")
    return path


def written(desk: Desk, verb: str) -> list[Path]:
    return sorted((desk.root / "out/commands").glob(f"{verb}-*.commands"))


def cosigned(desk: Desk, who: str, path: Path) -> Path:
    with InThread(desk, of(desk, who)) as run:
        shown = run.browser.choose("order", path)
        sha256 = re.search(r'name="sha256" value="(\w+)"', shown)
        assert sha256, shown
        run.browser.do("/second", sha256=sha256[1])
    return desk.root / "out" / f"{path.stem}.both.commands"


def judged(house: ReleaseHouse, data: bytes) -> Signed:
    """The command as judged by the unit, with each signature verified by stock ssh-keygen."""
    opened, envelope = open_desk(house.desk.folder, house.desk.clock), json.loads(data)
    for block in re.findall(r"-----BEGIN.*?END SSH SIGNATURE-----\n", envelope["sig"], re.DOTALL):
        (house.desk.root / "sig").write_text(block)
        words = ["ssh-keygen", "-Y", "check-novalidate", "-n", namespaces.COMMAND, "-s", str(house.desk.root / "sig")]
        done = sealing_rig.run(words, stdin=envelope["command"].encode())
        assert done.returncode == 0, done.stderr
    in_force = opened.roles(opened.access.entries())
    return envelopes.check_signed(data, UNIT, opened.authority, in_force, Counters(), house.clock.utc_ns())


def bring(house: ReleaseHouse, path: Path, role: str = "officer") -> str:
    house.clients.clear()
    answered = house.bring("/commands", path.read_bytes(), role)
    return "" if answered.status_code == 303 else refusal(answered)


def page(house: ReleaseHouse, role: str = "officer") -> str:
    house.clients.clear()
    return house.client(role).get("/commands").text


def test_another_configuration_by_one_and_a_weaker_one_by_two(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock
) -> None:
    path = configured(house.desk, OPERATOR)
    assert bring(house, path) == ""
    (message,) = sent(carrier, clock)
    assert message.topic == f"linetap/v1/{UNIT}/cmd/config"
    signed = judged(house, message.payload)
    assert [(one.role, one.name) for one in signed.by] == [("operator", OPERATOR)]
    body = commandbody.read(signed.command, commandbody.Config)
    assert (body.document, body.replaces) == (TOML, SHA)
    carrier.record_answer(*answer(message.payload, "config_weakens"))
    list(carrier.turn())
    assert "a vault officer or an approver signs it too" in page(house)
    both = cosigned(house.desk, KIM, path)
    assert bring(house, both, LEGAL) == ""
    (message,) = sent(carrier, clock)
    assert [one.role for one in judged(house, message.payload).by] == ["operator", "privacy"]
    carrier.record_answer(*answer(message.payload))
    list(carrier.turn())
    assert "1 of 1 units have accepted it" in page(house)
    assert "config_weakens" not in page(house), "the second file has taken the first one's place"


@pytest.mark.parametrize(
    ("who", "verb", "about", "body"),
    [
        (OPERATOR, "learn", UNIT, {}),
        (OPERATOR, "learn", f"{UNIT} walk {SHA}", {"walk": SHA}),
        (KIM, "confirm", f"{UNIT} {NUMBER}", {"weakening": NUMBER}),
        (HAN, "cancel", f" {UNIT}, {NUMBER} ", {"weakening": NUMBER}),
        ("authority", "confirm", f"{UNIT} {NUMBER}", {"weakening": NUMBER}),
    ],
)
def test_what_the_desks_page_shows_is_pasted_and_signed(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock, who: str, verb: str, about: str, body: dict[str, str]
) -> None:
    assert bring(house, made(house.desk, who, verb, about), "vault") == ""
    (message,) = sent(carrier, clock)
    signed = judged(house, message.payload)
    assert (signed.command.verb, signed.command.body) == (verb, body)
    assert signed.by[0].name == who


def test_the_time_takes_two_officers(house: ReleaseHouse, carrier: BatchSender, clock: ManualClock) -> None:
    path = made(house.desk, HAN, "time", f"{UNIT} {CHALLENGE}")
    assert bring(house, cosigned(house.desk, SECOND, path), "vault") == ""
    (message,) = sent(carrier, clock)
    signed = judged(house, message.payload)
    assert [one.name for one in signed.by] == [HAN, SECOND]
    body = commandbody.read(signed.command, commandbody.Time)
    assert (body.challenge, body.utc[:16]) == (CHALLENGE, "2026-11-27T01:00")


def test_roles_and_a_version_go_to_all_units(house: ReleaseHouse, carrier: BatchSender, clock: ManualClock) -> None:
    units = [UNIT, "floor-09", "floor-10"]
    published = house.desk.folder / "allowed_signers"
    line = next(line for line in published.read_text().splitlines() if line.startswith(UNIT))
    published.write_text("".join(line.replace(UNIT, unit, 1) + "\n" for unit in units))
    online(house, units)
    path = made(house.desk, "authority", "roles", "")
    assert path.name.startswith("roles-3-units-20261127T")
    assert bring(house, path) == ""
    messages = sent(carrier, clock)
    assert {one.topic for one in messages} == {f"linetap/v1/{unit}/cmd/roles" for unit in units}
    body = commandbody.read(judged(house, messages[0].payload).command, commandbody.Document)
    assert body.data == (house.desk.folder / "roles.json").read_bytes()
    bundle = house.desk.root / "linetap-0.2.0.raucb"
    bundle.write_bytes(b"hsqs" * 1000)
    with InThread(house.desk, of(house.desk, OPERATOR)) as run:
        run.browser.choose("document", bundle)
        run.browser.do("/commands", verb="update", about=f"{UNIT}, floor-09")
    (path,) = written(house.desk, "update")
    assert bring(house, path) == ""
    (first, _) = sent(carrier, clock)
    update = commandbody.read(judged(house, first.payload).command, commandbody.Update)
    stock = sealing_rig.run(["sha256sum", str(bundle)]).stdout.decode().split()[0]
    assert (update.version, update.size, update.sha256, update.url) == ("0.2.0", 4000, stock, None)
    assert "Another version" in page(house)
    assert "Roles in force" in page(house)


def test_a_list_of_keys(house: ReleaseHouse, carrier: BatchSender, clock: ManualClock) -> None:
    """Made and signed in the program earlier, and signed for units now."""
    desk, out = house.desk, house.desk.root / "out"
    (desk.root / "medium").mkdir()
    with InThread(desk, of(desk, "authority", medium=str(desk.root / "medium"))) as run:
        days = {
            "first": "2027-01-06",
            "days": "3",
            "longest": "1",
            "custodians": desk.requester.recipient,
            "needed": "1",
        }
        run.browser.do("/days", to="medium", **days)
        shown = run.browser.choose("paper", out / "keylist.json")
        sha256 = re.search(r'name="sha256" value="(\w+)"', shown)
        assert sha256
        run.browser.do("/sign", sha256=sha256[1])
        run.browser.do("/commands", verb="key_list", about=UNIT)
    (path,) = written(desk, "key_list")
    body = commandbody.read(judged(house, path.read_bytes()).command, commandbody.Document)
    assert body.data == (out / "keylist.json").read_bytes()
    assert bring(house, path) == ""
    assert [one.payload + b"\n" for one in sent(carrier, clock)] == [path.read_bytes()]
    assert "List of keys" in page(house)


def test_what_the_desk_would_not_take_at_once_is_in_several_files(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = [UNIT, "floor-10", "floor-9"]
    online(house, units)
    with InThread(house.desk, of(house.desk, "authority")) as run:
        run.browser.do("/commands", verb="roles", about=UNIT)
        (one,) = written(house.desk, "roles")
        monkeypatch.setattr(commanding, "_ROOM_BYTES", 2 * one.stat().st_size + 100)
        run.browser.do("/commands", verb="roles", about=" ".join(units))
    found = [path for path in written(house.desk, "roles") if "3-units" in path.name]
    files = sorted(found, key=lambda path: len(path.name))
    assert [len(path.read_bytes().splitlines()) for path in files] == [2, 1]
    for path in files:
        assert bring(house, path) == ""
    assert {message.topic.split("/")[2] for message in sent(carrier, clock)} == set(units), "one is not the other's"


def test_a_file_with_fewer_signatures_takes_no_place(house: ReleaseHouse) -> None:
    path = configured(house.desk, OPERATOR)
    assert bring(house, cosigned(house.desk, KIM, path)) == ""
    assert bring(house, path) == "batch_fewer"


@pytest.mark.parametrize(
    ("by", "verb", "about", "second"),
    [
        (HAN, "time", f"{UNIT} {CHALLENGE}", KIM),  # requires two of role vault
        (OPERATOR, "learn", UNIT, KIM),  # requires no second person
        (OPERATOR, "learn", UNIT, "authority"),
    ],
)
def test_a_second_signature_that_adds_nothing_is_refused(
    house: ReleaseHouse, by: str, verb: str, about: str, second: str
) -> None:
    path = made(house.desk, by, verb, about)
    with InThread(house.desk, of(house.desk, second)) as run:
        shown = run.browser.choose("order", path)
        sha256 = re.search(r'name="sha256" value="(\w+)"', shown)
        assert sha256
        assert "adds nothing to this command" in run.browser.refused("/second", sha256=sha256[1])


def test_what_was_chosen_for_one_command_does_not_stop_another(house: ReleaseHouse) -> None:
    """A stick that was pulled out, and an empty file."""
    chosen = house.desk.root / "unit.toml"
    chosen.write_text("")
    with InThread(house.desk, of(house.desk, OPERATOR)) as run:
        assert 'value="update"' not in run.browser.choose("document", chosen)
        chosen.unlink()
        assert "unit.toml: No such file" in run.browser.do("/commands", verb="learn", about=UNIT)


@pytest.mark.parametrize(
    ("who", "verb", "about", "says"),
    [
        (OPERATOR, "learn", "", "walk and 64 digits expected"),
        (OPERATOR, "learn", f"{UNIT} config {SHA}", "walk and 64 digits expected"),
        (OPERATOR, "learn", f"{UNIT} walk 5f0c", "walk and 64 digits expected"),
        (OPERATOR, "learn", f"{UNIT} {SHA}", "walk and 64 digits expected"),
        (OPERATOR, "learn", "Floor/../03", "not the name of a unit"),
        (KIM, "confirm", UNIT, "16 digits expected"),
        (HAN, "time", f"{UNIT} {NUMBER}", "32 digits expected"),
        (OPERATOR, "config", f"{UNIT} walk {SHA}", "has changed since it was shown"),
        (OPERATOR, "update", UNIT, "choose the .raucb file first"),
        (OPERATOR, "config", f"{UNIT} config {SHA}", "has changed since it was shown"),
        ("authority", "key_list", UNIT, "the list of keys is not chosen"),
        (HAN, "learn", UNIT, "not one of role"),
        (OPERATOR, "roles", UNIT, "not one of role"),
        (OPERATOR, "time", f"{UNIT} {CHALLENGE}", "not one of role"),
        (OPERATOR, "confirm", f"{UNIT} {NUMBER}", "confirm is for"),
        ("stranger", "confirm", f"{UNIT} {NUMBER}", "is not one of the roles in force"),
        ("stranger", "learn", UNIT, "not one of role"),
    ],
)
def test_what_no_unit_would_take_is_not_signed(house: ReleaseHouse, who: str, verb: str, about: str, says: str) -> None:
    with InThread(house.desk, of(house.desk, who)) as run:
        assert says in re.sub(r"&#39;", "'", run.browser.refused("/commands", verb=verb, about=about))
        assert run.browser.post("/commands", verb="hold", about=UNIT).status_code == 400
    assert not list((house.desk.root / "out").glob("commands/*.commands"))


def test_a_configuration_is_signed_for_the_unit_that_it_names(house: ReleaseHouse) -> None:
    chosen = house.desk.root / "unit.toml"
    with InThread(house.desk, of(house.desk, OPERATOR)) as run:
        for text, says in (
            (TOML, f"of {UNIT}, and not of floor-09"),
            ("[recording]\n", "of no unit, and not of floor-09"),
            ("unit = 3\n", "of 3, and not of floor-09"),
        ):
            chosen.write_text(text)
            run.browser.choose("document", chosen)
            fields = {
                "verb": "config",
                "about": f"floor-09 config {SHA}",
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
            }
            assert says in run.browser.refused("/commands", **fields)
        for data, says in (
            (b"\xff\xfe" + TOML.encode("utf-16le"), "byte order mark (BOM)"),  # as Windows' Notepad saves it
            (b"\xef\xbb\xbf" + TOML.encode(), "byte order mark (BOM)"),
            (TOML.encode("cp949"), "unit.toml:3: byte"),
            (b"unit = ?\n", "unit.toml:1"),
            (f'{TOML}name = "\u202e"  # 30\n'.encode(), "unit.toml:4: U+202E"),  # the rest is shown from right to left
            (f"# as before\u2028days = 30\n{TOML}".encode(), "unit.toml:1: U+2028"),  # seems to be a line of its own
            (b"unit = " + b"[" * 5000, "nested too deeply"),
        ):
            chosen.write_bytes(data)
            assert says in run.browser.refused("/choose", what="document", path=str(chosen))


def test_a_command_that_is_shown_otherwise_gets_no_second_signature(
    house: ReleaseHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first person may sign it with other tools."""
    desk = house.desk
    chosen = desk.root / "unit.toml"
    chosen.write_text(f'{TOML}name = "\u202e"  # 30\n')
    with monkeypatch.context() as other:
        other.setattr(strict, "legible_lines", lambda text, _where: text.split("\n"))
        sha256 = hashlib.sha256(chosen.read_bytes()).hexdigest()
        with InThread(desk, of(desk, OPERATOR)) as run:
            run.browser.choose("document", chosen)
            run.browser.do("/commands", verb="config", about=f"{UNIT} config {SHA}", sha256=sha256)
    (path,) = written(desk, "config")
    with InThread(desk, of(desk, HAN)) as run:
        run.browser.post("/choose", what="order", path=str(path))
        shown = run.browser.client.get(f"{run.browser.room}/second")
        assert "U+202E" in shown.text
        assert 'name="sha256"' not in shown.text


def test_a_second_signature_needs_the_same_command_to_each(house: ReleaseHouse) -> None:
    one, other = made(house.desk, OPERATOR, "learn"), house.desk.root / "two.commands"
    first = one.read_bytes()
    house.desk.clock.advance(NS_PER_S)
    other.write_bytes(first + made(house.desk, OPERATOR, "learn", f"floor-09 walk {SHA}").read_bytes())
    with InThread(house.desk, of(house.desk, KIM)) as run:
        assert run.browser.post("/choose", what="order", path=str(other)).status_code == 303
        assert "not the same command to each unit" in run.browser.get("/second", 409)


def test_a_command_that_lacks_its_second_member_of_the_authority(house: ReleaseHouse, desk: Desk) -> None:
    """With two of three: the first signs, the program adds the second's signature; one alone is refused by the page."""
    for name in ("second-authority", "third-authority"):
        desk.ssh_key(name)
    lines = [(desk.root / f"{name}.pub").read_text() for name in ("authority", "second-authority", "third-authority")]
    for place in (desk.folder / "authority.pub", desk.root / "authority.pub"):
        place.write_text("# 2 of 3\n" + "".join(lines))
    sig = desk.root / "roles.json.sig"
    blocks = []
    for name in ("authority", "second-authority"):
        desk.stock_sign(desk.root / "roles.json", name, sig, "linetap-roles")
        blocks.append(sig.read_bytes())
    for place in (sig, desk.folder / "roles.json.sig"):
        place.write_bytes(b"".join(blocks))
    path = made(desk, "authority", "roles")
    assert bring(house, path) == "batch_signer"
    assert bring(house, cosigned(desk, "second-authority", path)) == ""


def test_where_there_is_no_posix(house: ReleaseHouse) -> None:
    """In the Windows-like environment, by this machine's clock."""
    settings.save(house.desk.folder, of(house.desk, PARK))
    with OnWindows(house.desk.root, house.desk.folder) as run:
        run.browser.do("/commands", verb="confirm", about=f"{UNIT} {NUMBER}")
        run.end()
    (made_file,) = (house.desk.root / "out/commands").iterdir()
    assert json.loads(json.loads(made_file.read_bytes())["command"])["role"] == "legal"
