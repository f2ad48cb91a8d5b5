# SPDX-License-Identifier: Apache-2.0
"""A compromised service writes bytes that are not UTF-8 where text is expected. No reader ends because of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from linetap.recorder.cards import Cards
from linetap.recorder.control import ControlSocket
from linetap.sockets import Listener, SocketClient
from linetap_core import jsontext, rundir
from linetap_core.clock import NS_PER_S, SYSTEM, ManualClock
from linetap_core.durable.files import replace_in_ram
from linetap_core.evidence.calls import sealed
from linetap_core.records import (
    RECORDER_SOCKET,
    SUITE,
    CaptureCommand,
    CaptureState,
    PanelState,
    RecorderCommand,
    RecorderState,
    ReporterState,
    ServiceState,
)
from linetap_core.service import StateFile, StateReader, read_state
from state_files import unit

STATES: dict[str, type[ServiceState]] = {
    "capture@1": CaptureState, "recorder": RecorderState, "reporter": ReporterState, "panel": PanelState,
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_of_a_state_there_is_none(run_dir: Path, name: str) -> None:
    kind = STATES[name]
    reader = StateReader(run_dir, name, kind)
    for field in ("service", "version", "unit", "broker", "meaning_ko", "fault", "\udcff"):
        said = b'{"%s":"\xff"}' % field.encode("utf-8", "surrogateescape")
        replace_in_ram(rundir.make_service_folder(run_dir, name) / f"{name}.json", said)
        assert read_state(run_dir, name, kind) is None
        assert reader.read() is None


@pytest.mark.parametrize("kind", [RecorderCommand, CaptureCommand, *STATES.values()], ids=str)
def test_every_text_of_what_is_handed_over(kind: type) -> None:
    for text in (
        b'"\xff"',
        b'{"\xff":1}',
        b'{"verb":"\xff"}',
        b'{"service":"\xc3\x28"}',
        b'{"verb":"start_walk","by":"\xff"}',
    ):
        with pytest.raises(msgspec.DecodeError):
            jsontext.decode(text, kind)


def test_a_service_goes_on_where_the_recorder_says_that_it_has_to_start_again(run_dir: Path) -> None:
    replace_in_ram(rundir.make_service_folder(run_dir, "recorder") / "renewed", b'{"at_ns":1,"services":["\xff"]}')
    file = StateFile(run_dir, "panel", ManualClock(monotonic_ns=NS_PER_S))
    file.write(ServiceState(service="panel", version="0", pid=1, started_ns=0, mono_ns=0, progress=0))
    assert not file.outdated


def test_the_panel_cannot_end_the_recorder(run_dir: Path) -> None:
    with closing(ControlSocket(run_dir, SYSTEM)) as door, closing(SocketClient(run_dir / RECORDER_SOCKET)) as panel:
        for packet in (b'{"verb":"\xff"}', b'{"verb":"start_walk","by":"\xff"}', b"\xff"):
            panel.send(packet)
            for _ in range(2):
                assert not door.serve(lambda _: None)
            assert len(panel.answers()) == 1


def test_capture_cannot_either(run_dir: Path) -> None:
    with closing(Listener(rundir.socket_path(run_dir, 1))) as capture:
        cards = Cards(unit(run_dir, 1), ManualClock(), {})
        cards.play(1, "ko", 0)
        answered = [peer.send(b'{"line":1,"why":"\xff"}') for _ in range(3) for peer, _ in capture.poll(0.1)]
        assert answered
        cards.log_refusals()
        cards._callers[1].close()


@pytest.mark.parametrize("field", ["unit", "suite", "\udcff"])
def test_a_stolen_key_signs_a_record_that_ends_no_desk(field: str) -> None:
    said = b'{"suite":"%s","%s":"\xff"}' % (SUITE.encode(), field.encode("utf-8", "surrogateescape"))
    for data in (said, b'{"suite":"%s","call_id":' % SUITE.encode() + b"[" * 20_000):
        with pytest.raises((msgspec.MsgspecError, sealed.UnknownSuite)):
            sealed.decode_record(data)
