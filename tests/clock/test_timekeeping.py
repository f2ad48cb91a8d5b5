# SPDX-License-Identifier: Apache-2.0
"""The chrony configuration, tested with chronyd, and the interpretation of chronyd's own report."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from linetap.capture.timeline import Timeline
from linetap_core.clock import FIRST_NS, NS_PER_MS, NS_PER_S, SYSTEM, ManualClock
from linetap_core.errors import BadInput
from linetap_core.records import ClockRecord
from linetap_core.timekeeping import (
    MOST_AGE_S,
    PossibleClock,
    chrony_offset_ms,
    clock_quality,
    earliest_ns,
    is_unkept,
    require_possible,
)

SHIPPED = Path(__file__).parents[2] / "systemd" / "chrony" / "linetap.conf"
CHRONYD = "/usr/sbin/chronyd"
CHRONYS_OWN_PPM = 83333.333  # chrony.conf(5), maxslewrate
LIMIT_S = 120
LINE = (
    "C0A80105,ntp.site.example,3,1795704965.514254502,-0.000123456,0.000020,0.000090,-12.5,0.0,0.1,0.01,0.002,64.2,{}\n"
)


@pytest.fixture
def said(tmp_path: Path) -> Path:
    path = tmp_path / "clock"
    path.write_text(LINE.format("Normal"))
    return path


def now_of(path: Path, later_s: float = 0.0) -> ManualClock:
    return ManualClock(utc_ns=path.stat().st_mtime_ns + round(later_s * NS_PER_S))


def test_the_offset_is_chronyds(said: Path) -> None:
    assert chrony_offset_ms(now_of(said), said) == -0.123456
    said.write_text(LINE.format("Insert second"))
    assert chrony_offset_ms(now_of(said), said) == -0.123456


@pytest.mark.parametrize("later_s", [MOST_AGE_S + 1, -MOST_AGE_S - 1])
def test_an_old_word_is_none(said: Path, later_s: float) -> None:
    assert chrony_offset_ms(now_of(said, later_s), said) is None


@pytest.mark.parametrize(
    "text",
    ["", "506 Cannot talk to daemon", LINE.format("Not synchronised"), LINE[:40], "nan," * 13 + "Normal", "\xff"],
)
def test_what_says_nothing_of_the_clock(said: Path, text: str) -> None:
    said.write_text(text, encoding="latin-1")
    assert chrony_offset_ms(now_of(said), said) is None
    said.unlink()
    assert chrony_offset_ms(SYSTEM, said) is None


def test_an_image_knows_when_it_was_built(tmp_path: Path) -> None:
    release = tmp_path / "release"
    assert earliest_ns(release) == FIRST_NS
    for at_s, expected_ns in (
        (1_000_000_000, FIRST_NS),
        (1_800_000_000, 1_800_000_000 * NS_PER_S),
        (1 << 33, FIRST_NS),
    ):
        path = tmp_path / f"release-{at_s}"
        path.touch()
        os.utime(path, (at_s, at_s))
        assert earliest_ns(path) == expected_ns


def test_a_clock_that_is_synchronised_with_2007_is_kept_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linetap_core.timekeeping.kernel_clock", lambda: (True, 0.5))
    rolled_over = ManualClock(utc_ns=FIRST_NS - 18 * 365 * 86_400 * NS_PER_S)
    assert clock_quality(rolled_over) == (False, 0.5)
    assert clock_quality(ManualClock(utc_ns=FIRST_NS + NS_PER_S)) == (True, 0.5)
    kept = ClockRecord(synced=True)
    assert is_unkept(kept, rolled_over.utc_ns())
    assert not is_unkept(kept, FIRST_NS)
    with pytest.raises(BadInput, match=r"clock is at 2008-01-06T00:00:00\.000Z"):
        require_possible(rolled_over)


def test_a_clock_that_is_set_back_before_the_software_is_counted_on(caplog: pytest.LogCaptureFixture) -> None:
    inner = ManualClock(utc_ns=FIRST_NS + NS_PER_S)
    clock = PossibleClock(inner)
    assert clock.utc_ns() == FIRST_NS + NS_PER_S
    inner.step_utc(-FIRST_NS)
    for _ in range(2):
        inner.advance(NS_PER_S)
    assert clock.utc_ns() == clock.utc_ns() == FIRST_NS + 3 * NS_PER_S
    assert caplog.text.count("clock_early") == 1
    inner.step_utc(FIRST_NS)
    assert clock.utc_ns() == inner.utc_ns()
    with pytest.raises(BadInput, match=r"clock is at 1970-01-01T00:00:00\.005Z, before .*: set it first"):
        PossibleClock(ManualClock(utc_ns=5_000_000)).utc_ns()


def test_chronyd_takes_what_is_shipped() -> None:
    done = subprocess.run([CHRONYD, "-U", "-p", "-f", SHIPPED], capture_output=True, text=True, timeout=LIMIT_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"port 0", "cmdport 0", "rtcsync", "makestep 0.5 3"} <= set(done.stdout.splitlines())


def test_chronyd_refuses_a_word_it_does_not_know(tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    other = tmp_path / "chrony.conf"
    other.write_text(SHIPPED.read_text().replace("rtcsync", "rtcsnyc"))
    done = subprocess.run([CHRONYD, "-U", "-p", "-f", other], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode != 0


def shipped_ppm() -> float:
    words = [line.split() for line in SHIPPED.read_text().splitlines()]
    return next(float(line[1]) for line in words if line[:1] == ["maxslewrate"])


def slewed(ppm: float, seconds: int) -> Iterator[bool]:
    """The timeline's verdict on each period of an exact codec, while the clock is slewed by `ppm`."""
    timeline = Timeline(8000)
    timeline.begin()
    for period in range(seconds * 100):
        yield timeline.observe(round(period * 10 * NS_PER_MS * (1 + ppm * 1e-6)), period * 80)


def test_a_clock_that_is_put_right_does_not_look_like_lost_frames() -> None:
    """CLOCK_MONOTONIC is slewed too; at chronyd's own rate each correction would cost a gap in mid-call."""
    assert not any(slewed(shipped_ppm(), 600))
    assert not any(slewed(-shipped_ppm(), 600))
    assert any(slewed(CHRONYS_OWN_PPM, 600))


@pytest.mark.skipif(os.geteuid() != 0, reason="chronyd wants to be started by root")
def test_chronyd_itself_says_it_in_these_fields(tmp_path: Path) -> None:
    """A chronyd with -x, which leaves the clock alone and trusts it."""
    socket = tmp_path / "chronyd.sock"
    conf = tmp_path / "chrony.conf"
    conf.write_text(f"local stratum 10\nport 0\ncmdport 0\nbindcmdaddress {socket}\npidfile {tmp_path}/pid\n")
    with subprocess.Popen([CHRONYD, "-x", "-d", "-u", "root", "-f", conf], stderr=subprocess.DEVNULL) as daemon:
        try:
            said, end_ns = tmp_path / "clock", SYSTEM.monotonic_ns() + LIMIT_S * NS_PER_S
            while chrony_offset_ms(SYSTEM, said) is None:
                assert daemon.poll() is None
                assert SYSTEM.monotonic_ns() < end_ns, f"chronyc says {said.read_text()!r}"
                SYSTEM.sleep(0.05)
                asked = ["chronyc", "-h", str(socket), "-c", "tracking"]
                said.write_bytes(subprocess.run(asked, capture_output=True, timeout=LIMIT_S).stdout)
            assert chrony_offset_ms(SYSTEM, said) == 0
        finally:
            daemon.terminate()
