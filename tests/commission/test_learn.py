# SPDX-License-Identifier: Apache-2.0
"""`linetap line learn` over a ring written by the test: while the command waits, the line follows a script."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest

from linetap import learned, linerelease
from linetap.commission import learn
from linetap.config import schema
from linetap.config.numbers import ProofNumbers
from linetap.config.profile import Profile
from linetap.learned import Learned
from linetap.linerelease import release_of
from linetap.notices import load_notices
from linetap.ring import GAP_OVERRUN, I16, NO_VOLTS, NS_PER_FRAME, SLOT_FRAMES, UNDERRUN, RingWriter
from linetap.sockets import Listener
from linetap_bench.sounds import synth
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.errors import BadInput, DeviceFault, Refusal
from linetap_core.records import CaptureCommand, PlayNotice, Refused, ReleaseLine
from linetap_core.rundir import socket_path
from unit_rig import Unit, make_unit

UTC_NS = 1_800_000_000 * NS_PER_S
LINE, LINES = 2, 3
ECHO_DELAY = 240


@dataclass
class Wire:
    """The script of line 2: its levels over the test's time, in seconds; the other lines are idle."""

    lifted_at: float = 4.0
    down_at: float = 1e9
    on_hook_v: float | None = -47.8
    off_hook_v: float = -9.1
    threshold_v: float = 25.0  # between on-hook and off-hook
    echo_db: float = -7.0
    leak_db: float = -120.0  # crosstalk of a notice on a neighbouring line
    rings_at: float = 1e9
    digit_at: float = 1e9
    digit_dbm0: float = -9.0
    dial_dbm0: float = -14.0  # level of the dial tone while off-hook
    gap_at: float = 1e9
    underrun_at: float = 1e9
    stops_at: float = 1e9
    refuses: str = ""
    releases_after_ms: float = 1000.0
    stuck: bool = False  # the contact does not open
    refuses_release: str = ""
    open_from: float = 1e9
    open_to: float = 1e9
    released_at: float = 1e9  # start of the dial tone after a release
    cuts_notice_at: float = 1e9

    def volts(self, t: float) -> float | None:
        if self.on_hook_v is None:
            return None
        if self.open_from <= t < self.open_to:
            return self.on_hook_v
        return self.off_hook_v if self.lifted_at <= t < self.down_at else self.on_hook_v

    def hook(self, t: float) -> bool:
        if self.open_from <= t < self.open_to:
            return False
        volts = self.volts(t)
        return self.lifted_at <= t < self.down_at if volts is None else abs(volts) < self.threshold_v


@dataclass
class LiveUnit(ManualClock):
    """Capture as seen by the command: ring, socket, notice and echo. Sleeping on this clock advances it."""

    unit: Unit
    wire: Wire
    ring: RingWriter = field(init=False)
    played_at: int | None = None
    commands: list[PlayNotice] = field(default_factory=list)
    openings: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(UTC_NS, 50 * NS_PER_S)
        run_dir = self.unit.config.run_path
        self.ring = RingWriter(run_dir, 1, list(range(1, LINES + 1)), 120, 8000)
        self.listener = Listener(socket_path(run_dir, 1))
        self.notice = load_notices(Path(self.unit.config.notices))["ko"]
        self.frame = 0
        self.rng = np.random.default_rng(3)
        for _ in range(30):  # older slots, which the command must not use
            self._slot()

    def sleep(self, seconds: float) -> None:
        for _ in range(max(1, round(seconds * 100))):
            self.advance(SLOT_FRAMES * NS_PER_FRAME)
            self._serve()
            if self.seconds < self.wire.stops_at:
                self._slot()

    @property
    def seconds(self) -> float:
        return self.frame / 8000

    def _serve(self) -> None:
        for peer, data in self.listener.poll():
            command = msgspec.json.decode(data, type=CaptureCommand)
            if isinstance(command, ReleaseLine):
                self._open(peer, command)
                continue
            assert isinstance(command, PlayNotice)
            self.commands.append(command)
            if self.wire.refuses:
                peer.send(msgspec.json.encode(Refused(command.line, self.wire.refuses)))
            else:
                self.played_at = command.at_frame

    def _open(self, peer: socket.socket, command: ReleaseLine) -> None:
        wire, t = self.wire, self.seconds
        self.openings.append(command.ms)
        if wire.refuses_release:
            peer.send(msgspec.json.encode(Refused(command.line, wire.refuses_release)))
        elif not wire.stuck:
            wire.open_from, wire.open_to = t + 0.1, t + 0.1 + command.ms / 1000
            if command.ms >= wire.releases_after_ms:
                wire.released_at = wire.open_to + 0.2

    def _slot(self) -> None:
        t, wire = self.seconds, self.wire
        mono = self.monotonic_ns()
        if wire.gap_at <= t:
            wire.gap_at = 1e9
            self.ring.write_gap(800, mono, mono + UTC_NS, GAP_OVERRUN)
            self.frame += 800
            return
        hook, ring = np.zeros((LINES, 10), np.bool_), np.zeros((LINES, 10), np.bool_)
        hook[LINE - 1], ring[LINE - 1] = wire.hook(t), wire.rings_at <= t < wire.rings_at + 1
        volts = np.full(LINES, -4800, np.int16)
        now = wire.volts(t)
        volts[LINE - 1] = NO_VOLTS if now is None else round(now * 100 + self.rng.uniform(-30, 30))
        tags, places = np.zeros(LINES, np.uint32), np.zeros(LINES, np.int32)
        place = None if self.played_at is None else self.frame - self.played_at
        if place is not None and -SLOT_FRAMES < place < self.notice.frames and t < wire.cuts_notice_at:
            tags[LINE - 1], places[LINE - 1] = self.notice.tag, place
        flags = UNDERRUN if wire.underrun_at <= t < wire.underrun_at + 0.02 else 0
        self.ring.write(self._audio(t), hook, ring, hook & False, volts, tags, places, mono, mono + UTC_NS, flags)
        self.frame += SLOT_FRAMES

    def _audio(self, t: float) -> I16:
        out = self.rng.standard_normal((LINES, SLOT_FRAMES)) * 8
        if self.played_at is not None:
            at = np.arange(self.frame, self.frame + SLOT_FRAMES) - self.played_at - ECHO_DELAY
            inside = (at >= 0) & (at < self.notice.frames)
            gain = 10 ** (self.wire.echo_db / 20) + 10 ** (self.wire.leak_db / 20)
            out[LINE - 1, inside] += gain * self.notice.samples[at[inside]]
        if self.wire.lifted_at <= t < min(self.wire.down_at, self.wire.digit_at):
            tone = synth.pair(synth.DIAL_HZ, self.wire.dial_dbm0, 1 << 40)
            out[LINE - 1] += tone.render(self.frame, SLOT_FRAMES)
        if self.wire.released_at <= t < self.wire.down_at:
            out[LINE - 1] += synth.pair(synth.DIAL_HZ, self.wire.dial_dbm0, 1 << 40).render(self.frame, SLOT_FRAMES)
        if self.wire.digit_at <= t < self.wire.digit_at + 0.1:
            both = synth.Tones([(770, self.wire.digit_dbm0), (1336, self.wire.digit_dbm0)], 1 << 40)
            out[LINE - 1] += both.render(self.frame, SLOT_FRAMES)
        return np.clip(np.rint(out), -32768, 32767).astype(np.int16)

    def close(self) -> None:
        self.listener.close()
        self.ring.close()


Learn = Callable[..., Learned]


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Unit:
    return make_unit(tmp_path, run_dir, lines=LINES)


@pytest.fixture
def teach(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> Learn:
    """A function that runs the command over a scripted line and returns the learned values from the written file."""
    opened: list[LiveUnit] = []

    def run(wire: Wire | None = None, config: schema.Config | None = None, line: int = LINE, *options: str) -> Learned:
        live = LiveUnit(unit, wire or Wire())
        opened.append(live)
        monkeypatch.setattr(learn, "SYSTEM", live)
        monkeypatch.setattr(learn, "load_config", lambda _: config or unit.config)
        parser = argparse.ArgumentParser()
        learn.add_arguments(parser)
        words = ["learn", str(line), "--config", "unit.toml", "--yes", *options]
        try:
            assert learn.run(parser.parse_args(words)) == 0
        finally:
            live.close()
        return learned.load(Path(unit.config.learned))[line]

    run.opened = opened  # type: ignore[attr-defined]
    return run


def written(unit: Unit) -> bool:
    return Path(unit.config.learned).exists()


def test_a_line_is_learnt(unit: Unit, teach: Learn, capsys: pytest.CaptureFixture[str]) -> None:
    found = teach(Wire(digit_at=12.0))
    assert found.on_hook_v == pytest.approx(47.8, abs=0.15)
    assert found.off_hook_v == pytest.approx(9.1, abs=0.15)
    assert found.reversed is False
    assert found.echo_db == pytest.approx(-7.0, abs=0.3)
    assert found.near_digit_dbm0 == pytest.approx(-9.0, abs=0.5)
    assert parse_rfc3339(found.learned_at) > UTC_NS + 8 * NS_PER_S
    said = capsys.readouterr().out
    for step in ("1. ", "2. ", "3. ", "4. ", "line 2: on-hook 47.8 V, not reversed, off-hook 9.1 V, echo -7.0 dB"):
        assert any(line.startswith(step) for line in said.splitlines()), step
    assert (Path(unit.config.learned) / "02.json").is_file()


def test_capture_is_asked_for_the_lines_own_notice_once(teach: Learn) -> None:
    teach(Wire(), None, LINE, "--digit-s", "0")
    (command,) = teach.opened[0].commands  # type: ignore[attr-defined]
    assert (command.line, command.notice) == (LINE, "ko")


def test_a_reversed_line_on_a_short_loop_that_the_pin_does_not_see(teach: Learn) -> None:
    found = teach(Wire(on_hook_v=48.0, off_hook_v=40.0))
    assert found.reversed is True
    assert found.off_hook_v == pytest.approx(40.0, abs=0.15)


def test_the_echo_of_the_profile_is_no_limit_to_what_is_learnt(unit: Unit, teach: Learn) -> None:
    faint = Profile(name="faint", proof=ProofNumbers(echo_db=-25.0))
    lines = [msgspec.structs.replace(line, profile="faint") for line in unit.config.line]
    config = msgspec.structs.replace(unit.config, line=lines, profile=[faint])
    assert teach(Wire(echo_db=-2.0), config).echo_db == pytest.approx(-2.0, abs=0.3)


def test_what_cannot_be_measured_stays_as_it_was(unit: Unit, teach: Learn, capsys: pytest.CaptureFixture[str]) -> None:
    before = Learned(
        on_hook_v=51.0, off_hook_v=7.0, reversed=True, near_digit_dbm0=-11.0, learned_at="2026-01-01T00:00:00.000Z"
    )
    learned.save(Path(unit.config.learned), LINE, before)
    found = teach(Wire(on_hook_v=None))
    assert msgspec.structs.replace(found, echo_db=None, echo_delay_ms=None, learned_at=before.learned_at) == before
    assert found.echo_db == pytest.approx(-7.0, abs=0.3)
    said = capsys.readouterr().out
    assert said.count("left as they were") == 2
    assert "no digit" in said


def test_an_exempt_line_is_learnt_by_its_voltage_alone(unit: Unit, teach: Learn) -> None:
    lines = [msgspec.structs.replace(line, exempt=line.number == LINE) for line in unit.config.line]
    found = teach(Wire(), msgspec.structs.replace(unit.config, line=lines))
    assert (found.echo_db, found.near_digit_dbm0) == (None, None)
    assert found.off_hook_v == pytest.approx(9.1, abs=0.15)
    assert teach.opened[0].commands == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        (Wire(lifted_at=0.0), "line 2: is not at rest"),
        (Wire(lifted_at=1e9), "its handset was not lifted within 5 s"),
        (Wire(rings_at=3.0), "a call came in"),
        (Wire(on_hook_v=-0.3, lifted_at=1e9, threshold_v=0.1), "reads 0.3 V"),
        (Wire(on_hook_v=-120.0, lifted_at=1e9), "no line has more than 100 V"),
        (Wire(down_at=4.7), "put down too early"),
        (Wire(down_at=7.0), "put down too early"),
        (Wire(echo_db=-120.0), "was played and not detected on it"),
        (Wire(echo_db=-120.0, leak_db=-45.0), "not detected on it .*-45 dB"),
        (Wire(gap_at=6.8), "audio was lost"),
        (Wire(underrun_at=7.0), "was disturbed"),
        (Wire(cuts_notice_at=7.0), "was disturbed"),
        (Wire(refuses="no notice 'ko'"), "capture does not play the notice: no notice 'ko'"),
    ],
)
def test_a_line_that_does_not_do_what_was_asked_is_not_learnt(unit: Unit, teach: Learn, wire: Wire, says: str) -> None:
    """The command writes nothing, so that a faulty line stays unlearned."""
    with pytest.raises(Refusal, match=says) as caught:
        teach(wire, None, LINE, "--wait-s", "5")
    assert "\n" not in str(caught.value)
    assert not written(unit)


def test_a_ring_that_stands_still_is_reported(unit: Unit, teach: Learn) -> None:
    with pytest.raises(DeviceFault, match="no audio for 2 s") as caught:
        teach(Wire(stops_at=3.0))
    assert (caught.value.code, caught.value.exit_status) == ("ring_stalled", 2)
    assert not written(unit)


def test_a_line_that_is_not_there(teach: Learn) -> None:
    with pytest.raises(BadInput, match="there is no line 9; there are 1, 2, 3"):
        teach(Wire(), None, 9)


def test_a_unit_that_does_not_run(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn, "load_config", lambda _: unit.config)
    parser = argparse.ArgumentParser()
    learn.add_arguments(parser)
    with pytest.raises(DeviceFault, match="no ring; capture@1 has not started"):
        learn.run(parser.parse_args(["learn", "2", "--config", "unit.toml", "--yes"]))


def test_a_folder_that_cannot_be_written(unit: Unit, teach: Learn) -> None:
    Path(unit.config.learned).write_text("a file")
    with pytest.raises(BadInput, match="learned"):
        teach(Wire())


def with_contacts(unit: Unit) -> schema.Config:
    return msgspec.structs.replace(
        unit.config, card=[msgspec.structs.replace(card, contacts=True) for card in unit.config.card]
    )


@pytest.mark.parametrize(
    ("releases_after_ms", "measured_ms", "openings"),
    [(900, 1700, [1700]), (1900, 2000, [1700, 2000]), (1e9, 0, [1700, 2000])],
)
def test_the_opening_that_releases_a_call_is_measured_by_the_dial_tone_after_it(
    releases_after_ms: float, measured_ms: float, openings: list[int], unit: Unit, teach: Learn
) -> None:
    found = teach(Wire(digit_at=12.0, releases_after_ms=releases_after_ms), with_contacts(unit), LINE, "--release")
    assert found.release_ms == measured_ms
    assert teach.opened[0].openings == openings  # type: ignore[attr-defined]


def test_no_line_is_opened_without_being_asked_for(unit: Unit, teach: Learn) -> None:
    assert teach(Wire(), with_contacts(unit)).release_ms is None
    assert teach.opened[0].openings == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        (Wire(), "there is no call on it"),
        (Wire(digit_at=12.0, stuck=True), "did not open: the contact is stuck"),
        (
            Wire(digit_at=12.0, refuses_release="card 1 has no series contacts"),
            "capture does not open the contact: card 1",
        ),
        (Wire(digit_at=12.0, down_at=16.5), "put down"),
    ],
)
def test_a_release_that_cannot_be_measured_is_refused_and_nothing_written(
    wire: Wire, says: str, unit: Unit, teach: Learn
) -> None:
    with pytest.raises(Refusal, match=says):
        teach(wire, with_contacts(unit), LINE, "--release")
    assert not written(unit)


def test_a_line_that_is_never_opened_is_not_asked_to_be(unit: Unit, teach: Learn) -> None:
    with pytest.raises(Refusal, match="its loop is never opened"):
        teach(Wire(digit_at=12.0), unit.config, LINE, "--release")


def test_config_check_names_the_lines_that_do_not_release(unit: Unit) -> None:
    ends = schema.Situation(name="abuse", code="**2", then="end", notice="end-abuse")
    config = msgspec.structs.replace(with_contacts(unit), situation=[ends])
    folder = Path(config.learned)
    for line, measured in ((1, 0.0), (2, 1700.0), (3, None)):
        learned.save(folder, line, Learned(release_ms=measured, learned_at="2026-01-01T00:00:00.000Z"))
    found = learned.load(folder)
    (note,) = linerelease.staff_lines(config, found)
    assert note == "line 1: the exchange does not release in time: staff hang up after the notice"
    assert [release_of(config, line, found.get(line.number)) for line in config.line[:3]] == [
        "exchange", "contact", "contact",
    ]  # fmt: skip
    assert list(linerelease.staff_lines(msgspec.structs.replace(config, situation=[]), found)) == []
