# SPDX-License-Identifier: Apache-2.0
"""The loader's states are those of DFU 1.1 (USB-IF, 2004), appendix A.2, for a device without upload and with tolerant
manifestation. From memory, and compared with the requests that U-Boot's f_dfu.c accepts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest

from linetap.meterprogram.dfu import BLOCK
from loader_rig import RUN, Loader, image

DETACH, DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT, UNKNOWN = range(8)
IDLE, DNLOAD_SYNC, DNBUSY, DNLOAD_IDLE, MANIFEST_SYNC, MANIFEST, ERROR = 2, 3, 4, 5, 6, 7, 10
OK, ERR_USBR, ERR_STALLEDPKT = 0, 12, 15
DATA = image((1, 3, 0))


@pytest.fixture
def meter() -> Iterator[Loader]:
    with Loader() as device:
        device.lay(RUN, image((1, 2, 0)))
        assert device.start()
        yield device


def give(device: Loader, data: bytes = DATA[:BLOCK]) -> None:
    device.give(0x21, DNLOAD, 0, data)


def to_sync(device: Loader) -> None:
    give(device)


def to_busy(device: Loader) -> None:
    to_sync(device)
    assert device.state() == (OK, DNBUSY)


def to_download_idle(device: Loader) -> None:
    to_busy(device)
    device.work()
    assert device.state() == (OK, DNLOAD_IDLE)


def to_manifest_sync(device: Loader) -> None:
    to_download_idle(device)
    for at in range(BLOCK, len(DATA), BLOCK):
        give(device, DATA[at : at + BLOCK])
        device.state()
        device.work()
        device.state()
    give(device, b"")


def to_manifest(device: Loader) -> None:
    to_manifest_sync(device)
    assert device.state() == (OK, MANIFEST)


def to_error(device: Loader) -> None:
    with pytest.raises(OSError, match="stalled"):
        device.ask(0xA1, UPLOAD, 64)


REACHED: dict[int, Callable[[Loader], None]] = {
    IDLE: lambda _device: None, DNLOAD_SYNC: to_sync, DNBUSY: to_busy, DNLOAD_IDLE: to_download_idle,
    MANIFEST_SYNC: to_manifest_sync, MANIFEST: to_manifest, ERROR: to_error,
}  # fmt: skip
# The requests accepted in each state, and the next state; all others stall and lead to dfuERROR.
EMPTY = "an empty DNLOAD"
ACCEPTED: dict[int, dict[int | str, int]] = {
    IDLE: {DNLOAD: DNLOAD_SYNC, GETSTATUS: IDLE, GETSTATE: IDLE, ABORT: IDLE},
    DNLOAD_SYNC: {GETSTATUS: DNBUSY, GETSTATE: DNLOAD_SYNC},
    DNBUSY: {},
    DNLOAD_IDLE: {
        DNLOAD: DNLOAD_SYNC,
        EMPTY: MANIFEST_SYNC,
        GETSTATUS: DNLOAD_IDLE,
        GETSTATE: DNLOAD_IDLE,
        ABORT: IDLE,
    },
    MANIFEST_SYNC: {GETSTATUS: MANIFEST, GETSTATE: MANIFEST_SYNC},
    MANIFEST: {},
    ERROR: {GETSTATUS: ERROR, GETSTATE: ERROR, CLRSTATUS: IDLE},
}
ASKED: tuple[int | str, ...] = (DETACH, DNLOAD, EMPTY, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT, UNKNOWN)


def ask(device: Loader, request: int | str) -> bytes:
    """The device's answer; empty if there is none. OSError if it stalled."""
    if request == GETSTATUS:
        return device.ask(0xA1, GETSTATUS, 6)
    if request == GETSTATE:
        return device.ask(0xA1, GETSTATE, 1)
    if request == UPLOAD:
        return device.ask(0xA1, UPLOAD, 64)
    if isinstance(request, int):
        device.give(0x21, request, 0, DATA[:BLOCK] if request == DNLOAD else b"")
    else:
        give(device, b"")
    return b""


@pytest.mark.parametrize("request_", ASKED)
@pytest.mark.parametrize("state", REACHED)
def test_every_request_in_every_state(meter: Loader, state: int, request_: int | str) -> None:
    REACHED[state](meter)
    then = ACCEPTED[state].get(request_)
    if then is None:
        with pytest.raises(OSError, match="stalled"):
            ask(meter, request_)
        assert meter.state() == (ERR_STALLEDPKT, ERROR)
        return
    said = ask(meter, request_)
    if request_ == GETSTATUS:
        assert said[4] == then
    elif request_ == GETSTATE:
        assert said == bytes([then])
    else:
        assert meter.ask(0xA1, GETSTATE, 1) == bytes([then])


def test_after_the_work_it_says_what_came_of_it(meter: Loader) -> None:
    to_manifest(meter)
    meter.work()
    assert meter.state() == (OK, IDLE)


def test_how_long_to_wait_is_said_with_busy_alone(meter: Loader) -> None:
    give(meter)
    status, wait, state, _ = struct.unpack("<BHxBB", meter.ask(0xA1, GETSTATUS, 6))
    assert (status, state) == (OK, DNBUSY)
    assert 40 < wait < 1000, "a page is erased"
    meter.work()
    assert meter.ask(0xA1, GETSTATUS, 6)[1:4] == bytes(3)


@pytest.mark.parametrize("state", [IDLE, DNLOAD_SYNC, DNBUSY, DNLOAD_IDLE, MANIFEST_SYNC, MANIFEST, ERROR])
def test_a_reset_of_the_bus_gives_up_what_was_begun(meter: Loader, state: int) -> None:
    """Linux resets a device several times during enumeration, so the loader stays until another program is there."""
    REACHED[state](meter)
    meter.reset()
    meter.configure()
    assert meter.state() == (OK, IDLE)
    assert not meter.work()
    meter.send(DATA)
    assert meter.state() == (OK, IDLE)
    meter.reset()
    assert meter.work()


def test_a_block_longer_than_it_says_that_it_takes_is_a_stall(meter: Loader) -> None:
    assert meter.raw(struct.pack("<BBHHH", 0x21, DNLOAD, 0, 0, BLOCK + 1)) == b"x"
    assert meter.state() == (ERR_STALLEDPKT, ERROR)


def test_requests_before_it_is_configured_or_to_another_interface_are_a_stall(meter: Loader) -> None:
    assert meter.raw(struct.pack("<BBHHH", 0xA1, GETSTATUS, 0, 1, 6)) == b"x"
    meter.reset()
    assert meter.raw(struct.pack("<BBHHH", 0xA1, GETSTATUS, 0, 0, 6)) == b"x"


@pytest.mark.parametrize("packet", [(0x21, GETSTATUS, 6), (0xA1, DNLOAD, 64), (0xA1, ABORT, 0)])
def test_data_the_wrong_way_is_a_stall(meter: Loader, packet: tuple[int, int, int]) -> None:
    kind, request, length = packet
    assert meter.raw(struct.pack("<BBHHH", kind, request, 0, 0, length)) == b"x"
