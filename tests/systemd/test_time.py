# SPDX-License-Identifier: Apache-2.0
"""The clock's part of a unit: Debian's chronyd with our configuration, and its report as read by the recorder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from guest import Guest, guest, skip_reason, until

from linetap_core.clock import SYSTEM
from linetap_core.timekeeping import CHRONY, chrony_offset_ms

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))

SHIPPED = Path(__file__).parents[2] / "systemd" / "chrony" / "linetap.conf"


@pytest.fixture(scope="module")
def unit() -> Iterator[Guest]:
    with guest() as made:
        # -x: the guest's clock is this machine's, and stays unchanged. Without a network chronyd is its own source.
        made.write("/etc/default/chrony", 'DAEMON_OPTS="-x"\n')
        made.write("/etc/chrony/chrony.conf", SHIPPED.read_text() + "local stratum 10\n")
        made.boot()
        yield made


def test_what_chronyd_says_reaches_the_recorder_and_nobody_outside(unit: Guest, tmp_path: Path) -> None:
    unit.run("systemctl", "start", "chrony.service")
    assert "-x" in unit.run("cat", f"/proc/{unit.property('chrony', 'MainPID')}/cmdline").split("\0")
    said = tmp_path / "clock"

    def offset_ms() -> float | None:
        unit.run("systemctl", "start", "linetap-clock.service")
        said.write_text(unit.run("cat", str(CHRONY)))
        return chrony_offset_ms(SYSTEM, said)

    until(lambda: offset_ms() == 0, "chronyd believes itself")
    assert unit.run("stat", "-c", "%U %G %a", str(CHRONY)) == "_chrony linetap 640"
    assert unit.run("ss", "-Hlnu") == "", "nobody can ask this clock for the time"


def test_a_unit_without_chronyd_says_nothing_of_it(unit: Guest) -> None:
    unit.run("systemctl", "stop", "chrony.service")
    unit.run("systemctl", "start", "linetap-clock.service")
    assert unit.property("linetap-clock", "ConditionResult") == "no"
    assert unit.property("linetap-clock", "Result") == "success"
