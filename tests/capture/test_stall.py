# SPDX-License-Identifier: Apache-2.0
"""Capture ends with a reason when its codec stalls; it hangs neither in a read nor at its end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from capture_rig import LIMIT_S, Unit, laid_cable, unit


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_silent_codec_ends_capture(run_dir: Path, how: signal.Signals) -> None:
    with laid_cable(run_dir / "cable", 8, 8000, survives=False) as cable:
        with Unit(unit(run_dir / "run", cable), cable) as capture:
            capture.captured(30)
            os.kill(cable.pid, how)
            assert capture.process.wait(LIMIT_S) == 2
            state = capture.state()
            said = capture.said()
        os.kill(cable.pid, signal.SIGKILL)
    assert state is not None
    assert state.fault is not None
    assert state.fault.code == "codec_stalled"
    assert said.rstrip().splitlines()[-1].startswith("linetap: codec_stalled: unit_capture (card 1): no period")
    assert "Traceback" not in said


def test_one_that_is_asked_to_end_while_its_codec_dies_waits_for_nothing(run_dir: Path) -> None:
    """At close ALSA plays its queue to the end, and polls a dead server for ever without a pause."""
    with (
        laid_cable(run_dir / "cable", 8, 8000, survives=False) as cable,
        Unit(unit(run_dir / "run", cable), cable) as capture,
    ):
        capture.captured(30)
        os.kill(cable.pid, signal.SIGKILL)
        capture.process.terminate()
        assert capture.process.wait(LIMIT_S) in (0, 2), capture.said()
