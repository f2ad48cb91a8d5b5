# SPDX-License-Identifier: Apache-2.0
"""A new unit is adopted over the network: the unit's own process, the desk's pages, root's part, and https between
them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from adoption_officer import Officer
from servesite import ServeSite
from sqlalchemy import select

from adoption_rig import LIMIT_S, NewUnit
from broker import until
from linetap.adoption import adoptionfiles
from linetap.board.simulated import leds_shown, press_button
from linetap.config import load_config
from linetap.panel.unconfigured import CONDITION_OF
from linetap.provision import applyorder
from linetap_core.enrolment import request
from linetap_core.enrolment.checkdigit import with_check
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.wire.legend import CONDITIONS
from linetap_desk.serve.database.tables import adoptions


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServeSite]:
    with ServeSite(tmp_path / "serve") as site:
        yield site


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[NewUnit]:
    (tmp_path / "unit").mkdir()
    with NewUnit.of(tmp_path / "unit") as made:
        yield made


def test_a_new_unit_gets_its_configuration_and_its_certificate(
    served: ServeSite, unit: NewUnit, tmp_path: Path
) -> None:
    desk, process = Officer(served), unit.start(served.url)
    assert desk.prepare(unit).status_code == 303
    desk.chooses()
    digits = unit.digits()
    assert digits not in desk.page(), "the page does not tell what has to be heard"
    counted = with_check(digits)
    miscounted = counted[:3] + str((int(counted[3]) + 1) % 10) + counted[4:]
    for cut, code in (
        ("", "adoption_incomplete"), (digits[:5], "adoption_incomplete"), (f"{counted}0", "adoption_incomplete"),
        ("no digits", "adoption_incomplete"), (miscounted, "adoption_miscounted"),
        (f"{digits}{(int(counted[-1]) + 1) % 10}", "adoption_miscounted"),
    ):  # fmt: skip
        answer = desk.compare(cut)
        assert (answer.status_code, code in answer.text) == (409, True), "and the exchange goes on"
    wide = "".join(chr(ord("０") + int(each)) for each in counted[:3])  # as a Korean keyboard may write them
    assert desk.compare(f"{wide} {counted[3:]}").status_code == 303
    assert desk.state() == ["confirmed"]
    assert not (unit.card.home / "unit.key").exists(), "nobody has pressed the button yet"
    unit.press()
    desk.certify(unit, tmp_path)
    assert process.wait(LIMIT_S) == 0
    assert load_config(unit.card.home / "unit.toml").unit == "floor-03"
    assert (unit.card.home / "tls.pem").read_bytes() == (tmp_path / "got.pem").read_bytes()
    asked = request.check((tmp_path / "got.request").read_bytes())
    assert keys.public_line(asked.signer) in (unit.card.home / "unit.key.pub").read_text()
    assert desk.state() == ["adopted"]
    done = [(f"adopt_{act}", "done") for act in ("prepare", "choose", "compare", "certificate")]
    assert [each for each in desk.log() if each[1] == "done"] == done
    with served.site.own.connect() as db:
        row = db.execute(select(adoptions)).mappings().one()
    assert [row[name] for name in ("unit_key", "order", "signature")] == [None] * 3
    assert not list(unit.sent.glob("linetap.toml*"))
    assert not (unit.state / "session.json").exists()


def test_wrong_digits_end_the_exchange_and_the_next_has_others(served: ServeSite, unit: NewUnit) -> None:
    desk = Officer(served)
    unit.start(served.url)
    assert desk.prepare(unit).status_code == 303
    run = desk.chooses()
    digits = unit.digits()
    wrong = f"{(int(digits) + 1) % 1_000_000:06}"
    (chosen,) = re.findall(r'<option value="([^"]+)"', desk.page())
    answer = desk.compare(wrong, run, chosen)
    assert answer.status_code == 409
    assert "adoption_digits" in answer.text
    assert desk.compare(digits, run, chosen).status_code == 409, "one try"
    until(lambda: (said := adoptionfiles.read_shown(unit.run_dir)) is not None and said.state != "code", LIMIT_S)
    said = adoptionfiles.read_shown(unit.run_dir)
    assert said is not None
    assert CONDITIONS[CONDITION_OF[said.state]].run == "fast", "at once, as the sheet says"
    desk.chooses()
    until(lambda: unit.digits() != digits, LIMIT_S)
    unit.press()
    assert desk.state() == ["prepared"]
    assert desk.log()[2:4] == [("adopt_compare", "refused"), ("adopt_compare", "refused")]


def test_a_button_alone_moves_nothing(served: ServeSite, unit: NewUnit) -> None:
    """The real desk gives its configuration only to a unit whose digits were typed."""
    desk = Officer(served)
    unit.start(served.url)
    assert desk.prepare(unit).status_code == 303
    run = desk.chooses()
    unit.press()
    assert desk.waits() == run
    before = served.site.adoption.listed()[0].count
    until(lambda: served.site.adoption.listed()[0].count > before + 2, LIMIT_S)
    assert not list(unit.sent.glob("linetap.toml"))
    assert unit.digits(), "they can still be read"


@pytest.mark.parametrize("moment", ["code", "confirmed", "taken", "certified"])
def test_a_power_cut_at_each_step(served: ServeSite, unit: NewUnit, tmp_path: Path, moment: str) -> None:
    """Before the button is pressed the unit restarts the exchange, with other digits; afterwards it continues."""
    desk = Officer(served)
    unit.start(served.url)
    assert desk.prepare(unit).status_code == 303
    desk.chooses()
    first = unit.digits()
    if moment == "code":
        unit.cut()
        unit.start(served.url)
        newest = desk.chooses()
        assert unit.digits() != first
        assert len(desk.runs()) == 2
        assert desk.compare(unit.digits(), newest).status_code == 303
    else:
        assert desk.compare(first).status_code == 303
    unit.stop.set()  # root does nothing before the cut
    unit._root.join(LIMIT_S)
    unit.press()
    until(lambda: (unit.sent / "linetap.toml").exists(), LIMIT_S)
    if moment in ("taken", "certified"):
        unit.take()
        assert (unit.card.home / "unit.key").exists()
    if moment != "code":
        unit.cut()
        unit.start(served.url)
    unit.stop.clear()
    with unit:
        desk.certify(unit, tmp_path)
        if moment == "certified":
            unit.cut()
            unit.start(served.url)
        until(lambda: desk.state() == ["adopted"], LIMIT_S)
    assert load_config(unit.card.home / "unit.toml").unit == "floor-03"


class Cut(BaseException):
    pass


def confirmed(served: ServeSite, unit: NewUnit) -> Officer:
    """The unit has received its order, and root does nothing."""
    unit.stop.set()
    unit._root.join(LIMIT_S)
    desk = Officer(served)
    unit.start(served.url)
    assert desk.prepare(unit).status_code == 303
    desk.chooses()
    assert desk.compare(unit.digits()).status_code == 303
    unit.press()
    until(lambda: (unit.sent / "linetap.toml").exists(), LIMIT_S)
    return desk


def test_a_power_cut_after_the_configuration_and_before_the_key(
    served: ServeSite, unit: NewUnit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = confirmed(served, unit)
    assert (unit.sent / "linetap.toml").stat().st_mode & 0o077 == 0

    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(applyorder, "move_durably", cut)
        with pytest.raises(Cut):
            unit.take()
    assert (unit.card.home / "order.json").exists()
    assert not (unit.card.home / "unit.key").exists()
    unit.cut()
    unit.start(served.url)
    unit.stop.clear()
    with unit:
        desk.certify(unit, tmp_path)
        until(lambda: desk.state() == ["adopted"], LIMIT_S)


@pytest.mark.parametrize("has_order", [False, True])
def test_a_withdrawn_unit_lets_go(served: ServeSite, unit: NewUnit, has_order: bool) -> None:
    """With or without the order received; the keys of the exchange are on its disk."""
    desk = confirmed(served, unit)
    if has_order:
        unit.take()
    assert (unit.state / "session.json").exists()
    (chosen,) = re.findall(r'action="/adoption/([^"/]+)/end"', desk.page())
    assert desk.post(f"/adoption/{chosen}/end").status_code == 303
    until(lambda: not (unit.state / "session.json").exists(), LIMIT_S)
    assert unit.processes[-1].wait(LIMIT_S) == 0
    assert not list(unit.sent.glob("linetap.toml*"))
    unit.cut()
    if not has_order:
        unit.start(served.url)
        assert desk.prepare(unit).status_code == 303
        desk.chooses()
        assert desk.compare(unit.digits(), adoption=desk.free()).status_code == 303


def test_a_configuration_that_was_given_out_is_given_to_no_second_box(served: ServeSite, unit: NewUnit) -> None:
    desk = confirmed(served, unit)
    (given,) = re.findall(r'action="/adoption/([^"/]+)/end"', desk.page())
    unit.cut()
    (unit.state / "session.json").unlink()  # another box
    unit.start(served.url)
    run = desk.chooses()
    assert "<option" not in desk.page()
    assert desk.compare(unit.digits(), run, given).status_code == 409


def test_an_answer_that_was_lost_with_the_last_question(served: ServeSite, unit: NewUnit, tmp_path: Path) -> None:
    desk = confirmed(served, unit)
    kept = (unit.state / "session.json").read_bytes()
    unit.stop.clear()
    with unit:
        desk.certify(unit, tmp_path)
        until(lambda: desk.state() == ["adopted"], LIMIT_S)
        assert unit.processes[-1].wait(LIMIT_S) == 0
        (unit.state / "session.json").write_bytes(kept)
        assert unit.start(served.url).wait(LIMIT_S) == 0
        assert not (unit.state / "session.json").exists()


def test_a_desk_that_was_away_or_was_started_anew(tmp_path: Path, unit: NewUnit) -> None:
    """Before the digits were compared the unit restarts the exchange; afterwards neither side notices."""
    folder = tmp_path / "serve"
    with ServeSite(folder) as first:
        port = first.url.rpartition(":")[2]
        unit.start(first.url)
        assert Officer(first).prepare(unit).status_code == 303
        Officer(first).chooses()
        digits = unit.digits()
    pinned = f'listen = "127.0.0.1:{port}"'

    def again() -> ServeSite:
        key = (folder / "serve-log.key").read_bytes()
        site = ServeSite(folder)
        (folder / "serve-log.key").write_bytes(key)
        site.config.write_text(site.config.read_text().replace('listen = "127.0.0.1:0"', pinned))
        return site

    with again() as second:
        desk = Officer(second)
        desk.chooses()
        until(lambda: unit.digits() != digits, LIMIT_S)
        assert desk.compare(unit.digits()).status_code == 303
        unit.press()
        until(lambda: (unit.card.home / "unit.key").exists(), LIMIT_S)
    with again() as third:
        desk = Officer(third)
        desk.certify(unit, tmp_path)
        until(lambda: desk.state() == ["adopted"], LIMIT_S)


def test_an_order_that_the_unit_refuses_is_reported_at_the_desk_and_may_be_exchanged(
    served: ServeSite, unit: NewUnit
) -> None:
    desk = Officer(served)
    unit.change("notice_delay_ms = 500", "notice_delay_ms = -5")
    unit.start(served.url)
    assert desk.prepare(unit).status_code == 303
    desk.chooses()
    assert desk.compare(unit.digits()).status_code == 303
    unit.press()
    until(lambda: "notice_delay_ms" in desk.page(), LIMIT_S)
    assert not (unit.card.home / "unit.key").exists()
    unit.pack()
    assert desk.prepare(unit).status_code == 303
    until(lambda: (unit.card.home / "unit.key").exists(), LIMIT_S)


@pytest.mark.parametrize("what", ["no signature", "another's signature", "no order", "changed", "no network"])
def test_what_the_unit_would_refuse_is_refused_when_it_is_uploaded(served: ServeSite, unit: NewUnit, what: str) -> None:
    desk, folder = Officer(served), unit.card.desk
    order, signature = (folder / "linetap.toml").read_bytes(), (folder / "linetap.toml.sig").read_bytes()
    if what == "no order":
        order = b"[files]\n"
    if what == "changed":
        order += b"\n"
    if what == "no network":
        unit.change("[files]", '[network]\naddress = "10.1.2.3/24"\ngateway = "10.9.9.9"\n\n[files]')
        order, signature = (folder / "linetap.toml").read_bytes(), (folder / "linetap.toml.sig").read_bytes()
    files = {"file": order}
    if what == "another's signature":
        (folder / "other.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
        other = keys.load_unit_key((folder / "other.key").read_bytes())
        signature = sshsig.sign(order, other, namespaces.ORDER).encode()
    if what != "no signature":
        files["signature"] = signature
    assert desk.post("/adoption/prepare", files).status_code == 409
    assert desk.state() == []


class Watcher:
    """A person in front of the unit with the printed page, who only sees the lights and can press the button."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def counts(self) -> str:
        """One round of CALL, from a long pause to the next: the number of blinks, a long light is zero."""
        digits, blinks = "", 0
        self._waits_for_a_pause()
        while True:
            on_s = self._lasts(True)
            digits, blinks = (digits + "0", 0) if on_s > 1.2 else (digits, blinks + 1)
            dark_s = self._lasts(False, most_s=2.5)
            if dark_s > 0.7:
                digits, blinks = digits + (str(blinks) if blinks else ""), 0
            if dark_s >= 2.5:
                return digits

    def holds(self, seconds: float) -> None:
        press_button(self.run_dir, True)
        time.sleep(seconds)
        press_button(self.run_dir, False)

    def _waits_for_a_pause(self) -> None:
        until(lambda: not self._lit() and self._lasts(False, most_s=2.5) >= 2.5, LIMIT_S)
        until(self._lit, LIMIT_S)

    def _lasts(self, lit: bool, most_s: float = LIMIT_S) -> float:
        began = time.monotonic()
        while self._lit() == lit and time.monotonic() - began < most_s:
            time.sleep(0.01)
        return time.monotonic() - began

    def _lit(self) -> bool:
        return leds_shown(self.run_dir)["call"]


def test_by_the_lights_and_the_button_of_the_panel_itself(served: ServeSite, unit: NewUnit, tmp_path: Path) -> None:
    """The panel is a process too. As on the page, the digits are counted once, or until the check digit is theirs."""
    file = tmp_path / "panel.toml"  # a new unit has none; this one selects the simulated board
    file.write_text(f'run_dir = "{unit.run_dir}"\n[board]\nkind = "simulated"\n')
    unit.run_dir.mkdir(parents=True, exist_ok=True)
    panel = subprocess.Popen([sys.executable, "-m", "linetap", "panel", "--config", str(file)])
    unit.processes.append(panel)
    desk, person = Officer(served), Watcher(unit.run_dir)
    unit.start(served.url)
    assert desk.prepare(unit).status_code == 303
    desk.chooses()
    unit.digits()
    for _ in range(3):  # a busy computer may miss a blink
        if (answer := desk.compare(person.counts())).status_code == 303:
            break
        assert "adoption_miscounted" in answer.text or "adoption_incomplete" in answer.text
    assert answer.status_code == 303
    person.holds(3.5)
    desk.certify(unit, tmp_path)
    until(lambda: desk.state() == ["adopted"], LIMIT_S)
    assert load_config(unit.card.home / "unit.toml").unit == "floor-03"
