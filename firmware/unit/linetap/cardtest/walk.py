# SPDX-License-Identifier: Apache-2.0
"""The steps of the production test in their order. Each step gives rows; no step is skipped after a failed one.

To find swapped lines, each step acts on one line alone and measures all lines: only that line may react.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from math import nan

import numpy as np

from linetap.board.meter.protocol import MOST_CHANNELS, TAMPER
from linetap.cardtest.fixture import Fixture
from linetap.cardtest.meterlink import MeterLink, Volts
from linetap.cardtest.sound import Sound, level_db
from linetap_core.errors import DeviceFault

SETTLE_MS, READ_MS = 300, 200
TONE_MS = 700  # includes 200 ms of the codec's buffer and 300 ms of captured tone
METER_TONE_HZ, METER_READS_HZ = 1100, 100  # at a thousand samples a second the first is aliased to the second
METER_TONE_MS = 1000
PEAK_DB = 3.01  # peak of a sine above its rms
MIDDLE_HZ, UPPER_HZ = 1000, 3400
BESIDE_HZ = (100, 300, 3400, 15_000)
OPEN_MS = 3400  # longer than the meter's limit for a contact
REST_MS = 5500  # rest of the card's and the meter's one-shot before a contact opens again
UNARMED_MS = 1500  # the coils' current ends a second after the last edge
LID_MS = 600

Told = Callable[[str, int, float | None], None]  # row, line from 1 (0: of the card), value


def walk(link: MeterLink, sound: Sound, fixture: Fixture, lines: Sequence[int], tell: Told) -> None:
    """Runs all steps. `lines` count from 1. DeviceFault if meter, codec or fixture stops; earlier values are kept."""
    rows = [line - 1 for line in lines]
    version, channels, sample_us, *_ = link.wait_for_hello()
    tell("version", 0, version)
    tell("channels", 0, channels)
    tell("sample_us", 0, sample_us)
    volts = _levels(link, fixture, rows, tell)
    _tones(link, sound, rows, tell)
    _contacts(link, rows, volts, tell)
    _unarmed(link, sound, fixture, rows, tell)
    _lid(link, fixture, tell)
    tell("flags", 0, link.flags & ~TAMPER)
    _instruments(link, fixture, rows, tell)
    tell("frames_lost", 0, link.lost)


def _levels(link: MeterLink, fixture: Fixture, rows: Sequence[int], tell: Told) -> Volts:
    """Measures all lines in each state of the fixture. Returns the voltages in the last state."""
    read = np.zeros(MOST_CHANNELS)
    for state, row in (("open", "absent_v"), ("feed", "fed_v"), ("reversed", "reversed_v"), ("loop", "loop_v")):
        read = _set(link, fixture, state)
        for line in rows:
            tell(row, line + 1, read[line])
    return read


def _set(link: MeterLink, fixture: Fixture, state: str) -> Volts:
    _waiting(link, partial(fixture.set, state))
    return _settled(link)


def _settled(link: MeterLink) -> Volts:
    link.record(SETTLE_MS)
    steady: Volts = np.median(link.record(READ_MS), axis=1)
    return steady


def _tones(link: MeterLink, sound: Sound, rows: Sequence[int], tell: Told) -> None:
    """Tests each line's relay, the path of its notice, and its captured path, with a closed loop."""
    for line in rows:
        link.relays = 1 << line
        tell("playing_v", line + 1, _settled(link)[line])
        heard = _tone_levels(link, sound, [line], MIDDLE_HZ)
        tell("echo_db", line + 1, heard[line])
        others = [heard[other] for other in rows if other != line]
        tell("neighbour_db", line + 1, heard[line] - max(others, default=nan))
        for hz in BESIDE_HZ:
            tell(f"echo_{hz}_db", line + 1, _tone_levels(link, sound, [line], hz)[line] - heard[line])
        sound.play([line], METER_TONE_HZ)
        link.record(TONE_MS)
        tell("meter_db", line + 1, level_db(link.record(METER_TONE_MS)[line], METER_READS_HZ, 1000) - PEAK_DB)
        link.relays = 0
        link.record(SETTLE_MS)
        tell("silent_db", line + 1, _tone_levels(link, sound, [line], UPPER_HZ)[line])
        sound.play([], 0)


def _tone_levels(link: MeterLink, sound: Sound, lines: Sequence[int], hz: float) -> list[float]:
    """The tone on each line, in dB of the tone that is played on `lines`."""
    sound.play(lines, hz)
    link.record(TONE_MS)
    return [level_db(wave, hz, sound.rate_hz) for wave in sound.captured()]


def _contacts(link: MeterLink, rows: Sequence[int], loop: Volts, tell: Told) -> None:
    """Commands each contact without end: the card must close it before the meter does."""
    link.record(REST_MS)
    for line in rows:
        link.opened.clear()
        first = link.next
        link.contacts = 1 << line
        read = link.record(OPEN_MS)
        link.contacts = 0
        link.command()
        held = [at for at, mask in link.opened if mask >> line & 1]
        ended = [at for at, mask in link.opened if held and at > held[0] and not mask >> line & 1]
        middle = loop[line] * 1.5  # between a telephone and none: the fixture's resistors are equal
        above = np.flatnonzero(read[line] * np.sign(loop[line]) > abs(middle))
        begun, after = (above[0] + first, above[-1] + first + 1) if len(above) else (0, 0)
        others = [other for other in rows if other != line]
        tell("opens_ms", line + 1, begun - held[0] if held and len(above) else nan)
        tell("open_v", line + 1, float(np.median(read[line][above])) if len(above) else nan)
        tell("open_s", line + 1, (after - begun) / 1000)
        tell("held_ms", line + 1, (ended[0] if ended else link.next) - held[0] if held else 0)
        tell("others_v", line + 1, float(np.abs(read[others] - loop[others, None]).max()) if others else 0)


def _unarmed(link: MeterLink, sound: Sound, fixture: Fixture, rows: Sequence[int], tell: Told) -> None:
    """Sends all commands without edges on ARM: no relay may operate."""
    _set(link, fixture, "unarmed")
    link.record(REST_MS)
    before = _settled(link)
    link.relays = link.contacts = sum(1 << line for line in rows)
    read = link.record(UNARMED_MS)
    heard = _tone_levels(link, sound, rows, UPPER_HZ)
    link.relays = link.contacts = 0
    link.command()
    sound.play([], 0)
    for line in rows:
        tell("unarmed_db", line + 1, heard[line])
        tell("unarmed_v", line + 1, float(np.abs(read[line] - before[line]).max()))


def _lid(link: MeterLink, fixture: Fixture, tell: Told) -> None:
    for state, row in (("lid", "lid"), ("loop", "lid_shut")):
        _waiting(link, partial(fixture.set, state))
        link.record(LID_MS)
        tell(row, 0, int(bool(link.flags & TAMPER)))


def _instruments(link: MeterLink, fixture: Fixture, rows: Sequence[int], tell: Told) -> None:
    """Measures the thyristor on either side of an open contact; then the values without open contacts."""
    _waiting(link, partial(fixture.set, "spark"))
    for row in ("spark_exchange_v", "spark_telephone_v"):
        link.record(REST_MS)
        for line in rows:
            link.contacts = 1 << line
            link.record(SETTLE_MS)
            tell(row, line + 1, _waiting(link, partial(fixture.read, row, line + 1)))
            link.contacts = 0
            link.command()
    for row in ("pair_mohm", "earth_mohm"):
        for line in rows:
            tell(row, line + 1, _waiting(link, partial(fixture.read, row, line + 1)))


def _waiting[T](link: MeterLink, work: Callable[[], T]) -> T:
    """Runs `work`, a person's or a program's, in a thread while the meter is served. The thread ends with the process,
    so that an interrupt does not wait for it.
    """
    found: list[T] = []
    faults: list[DeviceFault] = []

    def run() -> None:
        try:
            found.append(work())
        except DeviceFault as fault:
            faults.append(fault)

    thread = threading.Thread(target=run, name="fixture", daemon=True)
    thread.start()
    link.serve_while(thread.is_alive)
    if faults:
        raise faults[0]
    return found[0]
