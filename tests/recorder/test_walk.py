# SPDX-License-Identifier: Apache-2.0
"""Walk tests over a recorder with a live ring: good and bad lines, real calls, kills, and permission to start."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sounds import busy, digits
from walk_rig import ECHO_DELAY, Walked, Wire

from linetap import learned
from linetap.config.schema import Config, Recording, Smdr
from linetap.recorder.vault import admission
from linetap.recorder.vault.commands.linelearning import Learning
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.walk import guide
from linetap.recorder.walk.walk import ALL_S, SEAL_S, SHOWN_S
from linetap.ring import RATE_HZ, SLOT_FRAMES
from linetap_core.clock import NS_PER_DAY
from linetap_core.evidence.authorization.command import Command
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog.leaflog import LEAVES, lines_of
from linetap_core.evidence.signing import namespaces
from linetap_core.records import CallRecord, PlayNotice, StartWalk, StopWalk
from linetap_core.vaultformat import walkreport
from linetap_core.vaultformat.walkreport import WalkReport
from unit_rig import Unit, make_unit

SOON = Recording(greeting_max_ms=0, answer_timeout_s=2, answer_unheard_s=4)


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Unit:
    return make_unit(tmp_path, run_dir, lines=4, recording=SOON)


@pytest.fixture
def walked(unit: Unit) -> Iterator[Walked]:
    """Four good lines, which a test damages before their turn."""
    with Walked(unit.config, [Wire() for _ in range(4)]) as made:
        made.turn()
        yield made


def report_of(config: Config) -> tuple[Path, WalkReport]:
    (path,) = (config.vault_path / walkreport.WALKS_FOLDER).glob("*.json")
    return path, walkreport.decode(path.read_bytes())


def events(config: Config) -> list[dict[str, Any]]:
    reader = OutboxReader(config.vault_path / "outbox")
    return [msgspec.json.decode(payload) for _, payload, _ in reader.from_seq(1, 10_000)]


def record_of(config: Config, call_id: str) -> CallRecord:
    path = config.vault_path / sealed.call_path(call_id) / sealed.RECORD
    return msgspec.json.decode(path.read_bytes(), type=CallRecord)


def test_a_walk_over_lines_good_and_bad(walked: Walked, unit: Unit) -> None:
    walked.wires[1].battery_v, walked.wires[1].lifts = 0.0, False
    walked.wires[2].echo_db = -120.0
    walked.wires[3].digit = ""
    found = walked.walk_all()
    assert {n: (line.colour, line.found) for n, line in found.items()} == {
        1: ("green", []),
        2: ("red", ["line_cut"]),
        3: ("red", ["notice_absent"]),
        4: ("yellow", ["no_digit"]),
    }
    assert (found[1].on_hook_v, found[1].off_hook_v) == (-48.0, -8.0)
    path, report = report_of(unit.config)
    assert (report.passed, report.ended_by, report.by, report.unit) == (False, "done", "terminal", "floor-03")
    for line in report.lines:
        if line.call_id is not None:
            made = record_of(unit.config, line.call_id)
            assert (made.disposition, made.direction, made.ended_by) == ("recorded", "out", "on_hook")
            assert made.notice is not None
            assert line.record_sha256 is not None
    told = [event for event in events(unit.config) if event["event"] in ("tested", "walked")]
    assert [(event["line"], event["colour"]) for event in told[:-1]] == [(1, "green"), (3, "red"), (4, "yellow")]
    assert (told[-1]["green"], told[-1]["yellow"], told[-1]["red"]) == ([1], [4], [2, 3])
    sha256 = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True, timeout=120).stdout[:64]
    assert told[-1]["document_sha256"] == sha256
    leaves = [msgspec.json.decode(line) for line in lines_of(unit.config.vault_path / "log" / LEAVES)]
    assert [leaf["sha256"] for leaf in leaves if leaf["kind"] == "walk"] == [sha256]


def test_what_it_measures_is_what_learn_keeps(walked: Walked, unit: Unit) -> None:
    """Compared with the rig's lines: their voltages, and the echo of the notice at 30 ms."""
    walked.wires[1].battery_v, walked.wires[1].echo_db = 52.0, -14.0
    walked.wires[2].battery_v = None
    walked.wires[3].echo_db = -120.0
    walked.walk_all()
    path, _ = report_of(unit.config)
    command = Command(
        unit="floor-03", verb="learn", role="operator", counter=1, expires="2027-01-01T00:00:00.000Z",
        body={"walk": hashlib.sha256(path.read_bytes()).hexdigest()},
    )  # fmt: skip
    said, kept = Learning(unit.config).apply(command)
    assert kept, said
    found = learned.load(Path(unit.config.learned))
    assert found.keys() == {1, 2, 3}, "line 4 is red: its notice was not heard"
    assert [(one.on_hook_v, one.reversed) for one in found.values()] == [(48.0, False), (52.0, True), (None, None)]
    assert [one.echo_db for one in found.values()] == pytest.approx([-6.0, -14.0, -6.0], abs=0.5)
    delay_ms = ECHO_DELAY * 1000 / RATE_HZ
    assert [one.echo_delay_ms for one in found.values()] == pytest.approx([delay_ms] * 3, abs=1.0)


def test_the_report_is_signed_as_stock_openssh_checks_it(walked: Walked, unit: Unit) -> None:
    walked.walk_all(2)
    path, report = report_of(unit.config)
    assert report.passed
    signature = path.with_name(path.name + namespaces.SUFFIX)
    command = f"ssh-keygen -Y verify -f {unit.signers} -I floor-03 -n {namespaces.WALK} -s {signature}"
    subprocess.run(command.split(), input=path.read_bytes(), check=True, timeout=120, capture_output=True)
    assert b'"passed":true' in path.read_bytes()


def test_a_test_call_is_opened_like_any_other(walked: Walked, unit: Unit) -> None:
    call_id = walked.walk_all(1)[1].call_id
    assert call_id is not None
    recipe = (
        f"age -d -i {unit.epoch} key.age | age -d -i {unit.custodian} > call.key && age -d -i call.key audio.001.age"
    )
    folder = unit.config.vault_path / sealed.call_path(call_id)
    audio = subprocess.run(["sh", "-c", recipe], cwd=folder, check=True, timeout=120, capture_output=True).stdout
    assert audio.startswith(b".snd")


@pytest.mark.parametrize(("digit", "codes"), [("1", []), ("", ["no_digit"])])
def test_an_exchange_that_gives_busy_tone_is_answer_enough(
    tmp_path: Path, run_dir: Path, digit: str, codes: list[str]
) -> None:
    """It does so before the unit's usual time has elapsed: with one digit, and without any."""
    unit = make_unit(tmp_path, run_dir, lines=1)
    with Walked(unit.config, [Wire(digit=digit, busy_after_s=2.5)]) as walked:
        walked.turn()
        found = walked.walk_all()[1]
    assert found.found == codes
    assert found.call_id is not None
    record = record_of(unit.config, found.call_id)
    assert (record.answered_by, record.disposition) == ("tone", "recorded")


def test_busy_tone_is_nobodys_answer_where_no_walk_asks(tmp_path: Path, run_dir: Path) -> None:
    unit = make_unit(tmp_path, run_dir, lines=1)
    wire = Wire(digit="", off_hook=[(1, 9)])
    wire.say(2.0, digits("1"))
    wire.say(2.5, busy(7.0))
    with Walked(unit.config, [wire]) as walked:
        walked.until(lambda: walked.frame / 8000 > 11, "the call has come and gone")
        walked.until(lambda: not walked.service.vault.unfinished(), "it is sealed")
    (ended,) = [event for event in events(unit.config) if event["event"] == "ended"]
    assert (ended["disposition"], ended["why"]) == ("unanswered", "busy")


def test_a_walk_that_detects_the_notice_ends_the_fault_of_a_line(walked: Walked, unit: Unit) -> None:
    """A walk without detection leaves it."""
    for line in (1, 2):
        admission.write(unit.config.vault_path, line, 1)
    walked.restart()
    walked.wires[1].echo_db = -120.0
    found = walked.walk_all(1, 2)
    assert (found[1].colour, found[2].found) == ("green", ["notice_absent"])
    assert [line.troubles for line in walked.service.core.line_states()[:2]] == [[], ["notice_not_heard"]]
    assert set(admission.load(unit.config.vault_path)) == {2}


def test_a_call_that_comes_in_goes_on_untouched(walked: Walked, unit: Unit) -> None:
    """It rings at the line under test: the call is answered, announced, recorded, and does not count as a test."""
    wire = walked.wires[0]
    wire.lifts = False
    walked.ask(StartWalk("terminal", [1]))
    t = walked.frame / 8000
    wire.rings, wire.off_hook = [(t + 1, t + 2)], [(t + 3, t + 9)]
    walked.until(lambda: walked.walk is not None and walked.walk.step == "free", "the line is in use")
    walked.until(lambda: walked.walk is not None and walked.walk.step == "lift", "and free again")
    wire.lifts = True
    walked.until(walked.over, "the walk test is over")
    _, report = report_of(unit.config)
    (line,) = report.lines
    assert line.colour == "green"
    (real,) = [
        event for event in events(unit.config) if event["event"] == "sealed" and event["call_id"] != line.call_id
    ]
    made = record_of(unit.config, real["call_id"])
    assert (made.direction, made.disposition, made.duration_s) == ("in", "recorded", 6.0)


def test_the_other_lines_calls_are_nobodys_business(walked: Walked, unit: Unit) -> None:
    t = walked.frame / 8000
    walked.wires[3].rings, walked.wires[3].off_hook = [(t + 1, t + 2)], [(t + 2.5, t + 8)]
    assert walked.walk_all(1)[1].colour == "green"
    walked.until(lambda: walked.service.core.line_states()[3].state == "idle", "it has ended")
    walked.until(lambda: not walked.service.vault.unfinished(), "and is sealed")
    records = [event for event in events(unit.config) if event["event"] == "sealed" and event["line"] == 4]
    assert [event["disposition"] for event in records] == ["recorded"]


def test_a_line_that_is_in_use_is_not_asked_for(walked: Walked) -> None:
    wire = walked.wires[0]
    wire.lifted_at, wire.lifts = 0.0, False
    walked.until(lambda: walked.service.core.line_states()[0].state != "idle", "somebody is calling")
    walked.ask(StartWalk("terminal", [1]))
    walked.until(walked.over, "the walk does not wait for ever")
    assert walked.walk is not None
    assert walked.walk.lines[0].found == ["in_use"]
    assert walked.service.core.line_states()[0].call_id is not None, "and the call goes on"


@pytest.mark.parametrize("step", ["lift", "dial", "notice", "down"])
def test_a_recorder_that_is_killed_goes_on_with_it(walked: Walked, unit: Unit, step: str) -> None:
    walked.ask(StartWalk("terminal", [1, 2]))
    walked.until(lambda: walked.walk is not None and walked.walk.step == step, step)
    walked.restart()
    walked.until(walked.over, "the walk test is over")
    _, report = report_of(unit.config)
    assert [(line.line, line.colour) for line in report.lines] == [(1, "green"), (2, "green")]
    assert [event["event"] for event in events(unit.config)].count("walked") == 1


@pytest.fixture
def behind_a_pbx(unit: Unit) -> Iterator[Walked]:
    """Two lines of a PBX whose log never has a line for a test call: each call waits for it for Smdr.wait_s."""
    smdr = Smdr(port=str(unit.folder / "no-port"))
    lines = [msgspec.structs.replace(line, extension=f"210{line.number}") for line in unit.config.line[:2]]
    card = msgspec.structs.replace(unit.config.card[0], channels=2)
    with Walked(msgspec.structs.replace(unit.config, smdr=smdr, line=lines, card=[card]), [Wire(), Wire()]) as made:
        made.turn()
        yield made


def test_the_next_line_is_asked_for_before_the_last_call_is_sealed(behind_a_pbx: Walked) -> None:
    walked = behind_a_pbx
    walked.ask(StartWalk("terminal", [1, 2]))
    walked.until(lambda: walked.walk is not None and walked.walk.line == 2, "line 2 is asked for")
    assert walked.walk is not None
    assert [(line.line, line.colour) for line in walked.walk.lines] == [(1, "green")]
    held = walked.service._waiting_calls()
    assert held == {walked.walk.lines[0].call_id}, "it waits for the PBX"
    walked.until(walked.over, "the walk test is over")
    _, report = report_of(walked.config)
    assert [line.record_sha256 is not None for line in report.lines] == [True, True], "the report waits for the seals"


def test_a_recorder_that_is_killed_between_end_and_report(behind_a_pbx: Walked) -> None:
    walked = behind_a_pbx
    walked.ask(StartWalk("terminal", [1, 2]))
    walked.until(lambda: walked.walk is not None and walked.walk.ended_by == "done", "all lines are judged")
    assert walked.service.guide.unreported
    walked.restart()
    walked.until(walked.over, "the walk test is over")
    _, report = report_of(walked.config)
    assert [(line.line, line.colour, line.record_sha256 is None) for line in report.lines] == [
        (1, "green", False), (2, "green", False),
    ]  # fmt: skip
    assert [event["event"] for event in events(walked.config)].count("walked") == 1


def test_a_seal_that_does_not_come_is_not_waited_for_for_ever(
    behind_a_pbx: Walked, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = behind_a_pbx
    monkeypatch.setattr(walked.service.guide, "_held", lambda: {"never sealed", *walked.service._waiting_calls()})
    walked.ask(StartWalk("terminal", [1]))
    walked.until(lambda: walked.walk is not None and walked.walk.ended_by == "done", "the line is judged")
    made = walked.service.guide.walk
    assert made is not None
    made.unsealed = {"never sealed": max(made.unsealed.values())}
    walked.clock.advance((SEAL_S - 1) * 10**9)
    walked.turn()
    assert not made.reported
    walked.clock.advance(2 * 10**9)
    walked.turn()
    assert made.reported


def test_what_was_not_reached_is_reported(walked: Walked, unit: Unit) -> None:
    walked.wires[1].lifts = False
    walked.ask(StartWalk("button"))
    walked.until(lambda: walked.walk is not None and walked.walk.line == 2, "line 2 is asked for")
    walked.ask(StopWalk())
    walked.until(walked.over, "it is told")
    _, report = report_of(unit.config)
    assert (report.ended_by, report.passed, report.by) == ("stopped", False, "button")
    said = [(line.line, line.found) for line in report.lines]
    assert said == [(1, []), (2, ["not_lifted"]), (3, ["not_reached"]), (4, ["not_reached"])]


def test_all_of_it_has_an_end(walked: Walked) -> None:
    for wire in walked.wires:
        wire.lifts = False
    walked.ask(StartWalk("button"))
    walked.until(lambda: walked.walk is not None and walked.walk.line == 1, "it has begun")
    walked.clock.advance((ALL_S + 1) * 10**9)
    walked.turn()
    assert walked.walk is not None
    assert (walked.walk.ended_by, len(walked.walk.lines)) == ("time_limit", 4)
    walked.until(walked.over, "it is told")
    walked.clock.advance((SHOWN_S + 1) * 10**9)
    walked.until(lambda: walked.walk is None, "it is shown no longer")


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (StartWalk("terminal", [1, 9]), "there is no line 9"),
        (StopWalk(), "no walk test is running"),
    ],
)
def test_what_cannot_be_is_refused(walked: Walked, message: StartWalk | StopWalk, why: str) -> None:
    assert walked.ask(message) == [why]
    assert walked.walk is None


def test_there_is_one_at_a_time_and_nonsense_starts_none(walked: Walked) -> None:
    walked.wires[0].lifts = False
    assert walked.ask(StartWalk("button", [1])) == []
    (answer,) = walked.ask(StartWalk("terminal"))
    assert "running already" in answer
    (answer,) = walked.ask(PlayNotice(1, "ko", 0))  # type: ignore[arg-type]
    assert "not a command" in answer
    assert walked.walk is not None
    assert (walked.walk.by, walked.walk.line) == ("button", 1)


def test_a_walk_of_a_line_that_is_no_longer_there_is_given_up(walked: Walked) -> None:
    walked.wires[2].lifts = False
    walked.ask(StartWalk("button", [3]))
    assert walked.service.guide.walk is not None
    walked.service.guide.walk.waiting.append(9)
    walked.until(lambda: walked.walk is not None and walked.walk.line == 3, "it has begun")
    walked.service._remember()
    walked.restart()
    assert walked.walk is None


def test_whoever_has_the_panel_fills_no_vault_with_walks(walked: Walked) -> None:
    for wire in walked.wires:
        wire.lifts = False
    now_s = walked.clock.monotonic_ns() / 10**9
    walked.service.guide._begun_s.extend([now_s] * (guide.MOST_A_DAY - 1))
    assert walked.ask(StartWalk("button", [1])) == []
    assert walked.ask(StopWalk()) == []
    walked.until(walked.over, "it is told")
    assert walked.ask(StartWalk("button", [1])) == ["200 walk tests were begun within a day"]
    walked.clock.advance(NS_PER_DAY)
    assert walked.service.guide._start(StartWalk("button", [1])) is None


@pytest.mark.parametrize(("digit", "wait_s"), [("1", 4), ("9", 8)])
def test_a_test_call_is_announced_once_no_second_digit_is_expected(
    tmp_path: Path, run_dir: Path, digit: str, wait_s: int
) -> None:
    """With the shipped times. After the prefix of an outside line, a second dial tone and a number may follow."""
    unit = make_unit(tmp_path, run_dir, lines=1, recording=Recording(answer_silence_s=8))
    with Walked(unit.config, [Wire(digit=digit)]) as walked:
        walked.turn()
        walked.ask(StartWalk("terminal"))
        walked.until(lambda: walked.walk is not None and walked.walk.step == "notice", "a digit is detected")
        dialled = walked.frame
        walked.until(lambda: walked.wires[0].played_at is not None, "the notice is played")
        assert (walked.frame - dialled) / RATE_HZ == pytest.approx(wait_s, abs=1)
        walked.until(walked.over, "the walk test is over")
        assert walked.walk is not None
        assert walked.walk.lines[0].colour == "green"


def test_a_number_whose_second_digit_comes_late_is_no_test(walked: Walked, unit: Unit) -> None:
    """The notice has begun by then. The call is announced and recorded, and the line is asked for once more."""
    walked.ask(StartWalk("terminal", [1]))
    wire = walked.wires[0]
    walked.until(lambda: wire.played_at is not None, "the notice is played")
    t = walked.frame / RATE_HZ + SLOT_FRAMES / RATE_HZ
    wire.say(t, digits("29"))
    walked.until(lambda: walked.walk is not None and walked.walk.step == "free", "it counts as a real call")
    real = walked.service.core.line_states()[0].call_id
    walked.until(lambda: walked.service.core.line_states()[0].state == "recording", "the notice is over")
    wire.lifted_at, wire.sounds = None, []
    walked.until(walked.over, "the walk test is over")
    _, report = report_of(unit.config)
    assert report.lines[0].call_id not in (None, real)
    assert real is not None
    assert record_of(unit.config, real).disposition == "recorded"
