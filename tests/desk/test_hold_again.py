# SPDX-License-Identifier: Apache-2.0
"""A hold on a hold, only by pages and buttons: renewed when the key of the call's day is destroyed, and ended early by
two. Verified by stock age and ssh-keygen.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from program_rig import InThread
from release_house import LEGAL, NOW_NS, ReleaseHouse, refusal, served_at
from test_serve_hold import bring
from test_serve_hold_sent import answer, carried, page, sent

import sealing_rig
from linetap.recorder.vault.commands.effects import _two_officers
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import namespaces
from linetap_desk.accesslog import roles
from linetap_desk.custody.program.settings import Settings
from linetap_desk.ingest.outgoing import HoldSender
from release_rig import HAN, KIM, PARK, PEOPLE, Desk
from sealing_rig import CALL_ID, UNIT

SECOND, AS_SECOND = "Seo Ji", "second"  # another vault officer, and their account


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS, NS_PER_S)


@pytest.fixture
def house(desk: Desk, clock: ManualClock) -> Iterator[ReleaseHouse]:
    desk.ssh_key(SECOND)
    desk.sign_roles(2, PEOPLE | {SECOND: "vault"})
    desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
    with served_at(desk, clock, 'outgoing = "outgoing"\n') as house:
        yield house


@pytest.fixture
def carrier(house: ReleaseHouse, clock: ManualClock) -> HoldSender:
    return carried(house, clock)


def asked(house: ReleaseHouse, until: str) -> str:
    fields = {"case": "2026-118", "basis": "Criminal Procedure Act 215", "until": until}
    made = house.served.post(house.client("officer"), "/hold/ask", unit=UNIT, call_id=CALL_ID, **fields)
    assert made.status_code == 303, refusal(made)
    return made.headers["location"].rpartition("/")[2]


def computer(house: ReleaseHouse, who: str, *keys: Path) -> InThread:
    out = house.desk.root / "out"
    chosen = Settings(name=who, signing=str(house.desk.root / who), identities=[str(key) for key in keys])
    chosen.output = str(out)
    return InThread(house.desk, chosen)


def held(house: ReleaseHouse, until: str, opens: Path, by: str = "held") -> tuple[str, bytes, Path]:
    """The hold's id, the command signed and uploaded by one officer, and the hold's key."""
    hold_id, output = asked(house, until), house.desk.root / "out"
    with computer(house, HAN, opens) as run:
        archive = house.desk.root / f"{hold_id}-call.tar"
        archive.write_bytes(house.client("vault").get(f"/hold/{hold_id}/call").content)
        run.browser.choose("archive", archive)
        shown = run.browser.do("/hold-key")
        (key,) = output.glob("hold-2*.txt")
        to = re.search(r"<code>(age1\w+)</code>", shown)
        assert to is not None
        run.browser.do("/hold", identity=str(opens), to=to[1], by=by, partial="")
    key = key.rename(house.desk.root / f"{hold_id}.txt")
    data = (output / f"{hold_id}.command").read_bytes()
    made = bring(house, hold_id, data)
    assert made.status_code == 303, refusal(made)
    return hold_id, data, key


def inner(key_age: Path, identity: Path) -> bytes:
    """The layer that only the custodians can open, decrypted by stock age."""
    return sealing_rig.run(["age", "-d", "-i", str(identity), str(key_age)]).stdout


def test_a_hold_is_renewed_when_the_key_of_the_day_is_destroyed(house: ReleaseHouse) -> None:
    desk = house.desk
    was = inner(desk.call / sealed.KEY, desk.rig.epoch_file)
    assert was.startswith(b"age-encryption.org/v1")
    _, _, first = held(house, "2027-06-30", desk.rig.epoch_file)
    desk.rig.epoch_file.unlink()
    _, data, second = held(house, "2029-06-30", first)
    body = json.loads(json.loads(data)["command"])["body"]
    (desk.root / "again.age").write_bytes(base64.b64decode(body["key_age"]))
    assert inner(desk.root / "again.age", second) == was
    with pytest.raises(AssertionError, match="does not open"):
        held(house, "2030-06-30", first, "day")


def signatures(data: bytes, folder: Path) -> list[str]:
    """The key of each signature over the command's text, by stock ssh-keygen."""
    envelope = json.loads(data)
    found = []
    for number, block in enumerate(re.findall(r"-----BEGIN.*?END SSH SIGNATURE-----\n", envelope["sig"], re.DOTALL)):
        (folder / f"{number}.sig").write_text(block)
        words = ["ssh-keygen", "-Y", "check-novalidate", "-n", namespaces.COMMAND, "-s", str(folder / f"{number}.sig")]
        done = sealing_rig.run(words, stdin=envelope["command"].encode())
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.decode().split()[-1])
    return found


def cosigned(house: ReleaseHouse, hold_id: str, who: str, role: str, name: str) -> bytes:
    """The command downloaded by another person, reviewed and signed in the program."""
    path = house.desk.root / f"{hold_id}.command"
    path.write_bytes(house.client(role, name).get(f"/hold/{hold_id}/hold.command").content)
    with computer(house, who) as run:
        shown = run.browser.choose("order", path)
        for words in ("2026-118", "Criminal Procedure Act 215", CALL_ID, UNIT, "2027-02-01", f"{HAN} (vault)"):
            assert words in shown, words
        sha256 = re.search(r'name="sha256" value="(\w+)"', shown)
        assert sha256 is not None
        run.browser.do("/second", sha256=sha256[1])
    made = house.desk.root / "out" / f"{hold_id}.both.command"
    data = made.read_bytes()
    made.unlink()
    return data


@pytest.mark.parametrize(("who", "role", "name"), [(SECOND, "vault", AS_SECOND), (PARK, LEGAL, LEGAL)])
def test_a_hold_is_ended_early_by_two(
    house: ReleaseHouse, carrier: HoldSender, clock: ManualClock, who: str, role: str, name: str
) -> None:
    epoch = house.desk.rig.epoch_file
    held(house, "2029-06-30", epoch)
    hold_id, data, _ = held(house, "2027-01-31", epoch, "day")
    sent(carrier, clock)
    assert "cosigned" not in page(house, hold_id)
    carrier.record_answer(UNIT, answer(data, "hold_shorter"))
    assert "A second person has to sign it" in page(house, hold_id)
    assert f'action="/hold/{hold_id}/cosigned"' not in page(house, hold_id), "who signed does not sign again"
    assert f'action="/hold/{hold_id}/cosigned"' in house.client(role, name).get(f"/hold/{hold_id}").text

    both = cosigned(house, hold_id, who, role, name)
    folder = house.desk.root / "out"
    keys = [
        sealing_rig.run(["ssh-keygen", "-l", "-f", str(house.desk.root / f"{each}.pub")]).stdout.decode().split()[1]
        for each in (HAN, who)
    ]
    assert signatures(both, folder) == keys
    assert refusal(house.bring(f"/hold/{hold_id}/cosigned", both, "vault")) == "one_person_two_steps"
    made = house.bring(f"/hold/{hold_id}/cosigned", both, role, name)
    assert made.status_code == 303, refusal(made)
    assert (name, "hold_cosign", "done", "") in house.log()
    assert who in page(house, hold_id)
    (message,) = sent(carrier, clock)
    assert message.payload == both
    authority, in_force = carrier.in_force()
    signed = envelopes.check_signed(both, UNIT, authority, in_force, Counters(), clock.utc_ns())
    assert _two_officers(signed) or signed.cosigners[0].role == PEOPLE[who], "as the unit asks for it"


def test_what_is_no_second_signature(house: ReleaseHouse) -> None:
    epoch = house.desk.rig.epoch_file
    hold_id, data, _ = held(house, "2027-01-31", epoch)
    other, elsewhere, _ = held(house, "2027-01-30", epoch, "day")
    both = cosigned(house, hold_id, SECOND, "vault", AS_SECOND)
    envelope = json.loads(both)
    first = json.loads(data)["sig"]
    turned = envelope | {"sig": envelope["sig"].removeprefix(first) + first}
    for bad, code in (
        (data, "hold_second"),
        (elsewhere, "hold_second"),
        (json.dumps(turned).encode(), "hold_second"),
        (json.dumps(envelope | {"sig": first * 2}).encode(), "command_unsigned"),
        (b"x", "bad_input"),
        (b"[" * 50_000, "bad_input"),
    ):
        assert refusal(house.bring(f"/hold/{hold_id}/cosigned", bad, "vault", AS_SECOND)) == code
    assert refusal(house.bring(f"/hold/{other}/cosigned", both, "vault", AS_SECOND)) == "hold_second"
    assert refusal(house.bring(f"/hold/{hold_id}/cosigned", both, "officer")) == "403"


def test_in_the_program_nobody_signs_twice_and_no_stranger(house: ReleaseHouse) -> None:
    hold_id, data, _ = held(house, "2027-01-31", house.desk.rig.epoch_file)
    path = house.desk.root / f"{hold_id}.command"
    path.write_bytes(data)

    def shown(run: InThread) -> str:
        found = re.search(r'name="sha256" value="(\w+)"', run.browser.choose("order", path))
        assert found
        return found[1]

    with computer(house, HAN) as run:
        assert "sign" in run.browser.refused("/second", sha256=shown(run))
    with computer(house, KIM) as run:
        sha256 = shown(run)
        run.program.keep(signing=str(house.desk.root / "stranger"))
        assert "roles.json" in run.browser.refused("/second", sha256=sha256)
        path.write_bytes(data.replace(b"2027-01-31", b"2027-03-31"))
        assert run.browser.refused("/second", sha256=sha256)
    assert not list((house.desk.root / "out").glob("*.both.command"))
