# SPDX-License-Identifier: Apache-2.0
"""A meter accepts only a program signed by the maker, and starts after a power cut at any moment."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

import loader_rig
from linetap.meterprogram.dfu import download
from linetap_core.errors import DeviceFault, Refusal
from loader_rig import (
    AREA,
    MAKER,
    PAGE,
    RUN,
    STAGED,
    Loader,
    NoTime,
    PowerIsCut,
    as_file,
    for_part,
    forged,
    image,
    program,
)
from meterbuild import METER, build_loader_host
from metersign import signed

OLD, NEW = image((1, 2, 0), seed=1), image((1, 3, 0), seed=2, length=7001)
OLDER = image((1, 1, 9), seed=3)
LONGEST = image((2, 0, 0), seed=4, length=AREA - 256)


@pytest.fixture
def meter() -> Iterator[Loader]:
    """A meter with the old program."""
    with Loader() as device:
        device.lay(RUN, OLD)
        assert device.start()
        yield device


def update(device: Loader, data: bytes) -> None:
    download(device, as_file(data), NoTime(device))


def runs(device: Loader, data: bytes) -> bool:
    """Whether the program runs after the next start."""
    return device.start() and device.flash(RUN, len(data)) == data


@pytest.mark.parametrize("data", [NEW, LONGEST, image((1, 2, 0), seed=9)], ids=["newer", "longest", "same version"])
def test_a_signed_program_that_is_not_older_takes_the_place_of_the_one_there(meter: Loader, data: bytes) -> None:
    update(meter, data)
    meter.reset()
    assert meter.work(), "the loader leaves by itself"
    assert runs(meter, data)


def test_a_meter_without_a_program_stays_in_its_loader_and_takes_one() -> None:
    with Loader() as device:
        assert not device.start()
        assert device.state() == (10, 10), "errFIRMWARE"
        update(device, OLDER)
        assert runs(device, OLDER)


REFUSED = {
    "another's signature": (forged((9, 0, 0)), "not signed"),
    "a bit of the program": (NEW[:3000] + bytes([NEW[3000] ^ 4]) + NEW[3001:], "not signed"),
    "a bit of the version": (NEW[:74] + bytes([NEW[74] ^ 8]) + NEW[75:], "not signed"),
    "a bit of the signature": (bytes([NEW[0] ^ 1]) + NEW[1:], "not signed"),
    "no signature": (bytes(64) + NEW[64:], "not signed"),
    "older": (OLDER, "older"),
    "another part's": (for_part(0x00010460), "another part"),
    "too long": (LONGEST + bytes(8), "longer"),
    "more behind it": (NEW + bytes(8), "not signed"),
    "cut short": (NEW[:4096], "shorter"),
    "a header alone": (NEW[:256], "not signed"),
    "nothing of ours": (bytes(range(256)) * 20, "not signed"),
    "a length that is a lie": (NEW[:76] + b"\xff\xff\xff\x7f" + NEW[80:], "not signed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_why(meter: Loader, name: str) -> None:
    data, why = REFUSED[name]
    with pytest.raises(Refusal, match=why):
        update(meter, data)
    assert runs(meter, OLD)
    update(meter, NEW)
    assert runs(meter, NEW)


def operations() -> int:
    """The flash operations of an update, counted by the test below."""
    blocks = -(-len(NEW) // 8) + -(-len(NEW) // PAGE)
    return 2 * blocks + 1


def test_whenever_the_power_is_cut_the_meter_starts_with_one_of_the_two(meter: Loader) -> None:
    """Within each erasure, every 23rd write of eight bytes, and the first and last of each kind."""
    pages = -(-len(NEW) // PAGE)
    eights = PAGE // 8
    erasures = [1 + page * (eights + 1) for page in range(pages)]
    middle = operations() // 2
    cuts = {*erasures, *(middle + at for at in erasures), *range(2, operations(), 23), operations() - 1, operations()}
    new = 0
    for cut in sorted(cuts):
        meter.lay(RUN, OLD.ljust(AREA, b"\xff"))
        meter.lay(STAGED, b"\xff" * AREA)
        assert meter.start()
        meter.cut_power_in(cut)
        with pytest.raises(PowerIsCut):
            update(meter, NEW)
        assert meter.start(), f"cut in operation {cut}: no program"
        held = meter.flash(RUN, len(NEW))
        assert held == NEW or held[: len(OLD)] == OLD, f"cut in operation {cut}"
        new += held == NEW
        update(meter, NEW)
        assert runs(meter, NEW), f"cut in operation {cut}: it takes no program any more"
    assert 0 < new < len(cuts)


def test_the_power_that_goes_again_while_a_cut_copy_is_ended_harms_nothing(meter: Loader) -> None:
    meter.cut_power_in(operations() * 3 // 4)
    with pytest.raises(PowerIsCut):
        update(meter, NEW)
    for cut in (1, 2, 300, 900):
        meter.cut_power_in(cut)
        with pytest.raises(PowerIsCut):
            meter.start()
    assert runs(meter, NEW)


def test_a_staged_program_that_is_older_is_never_copied(meter: Loader) -> None:
    """As written by somebody with direct access to the flash."""
    meter.lay(STAGED, OLDER)
    assert runs(meter, OLD)
    assert meter.flash(STAGED, 8) == b"\xff" * 8


def test_a_staged_program_of_somebody_else_is_never_copied_even_where_there_is_none() -> None:
    with Loader() as device:
        device.lay(STAGED, forged((9, 0, 0)))
        assert not device.start()


def test_programs_of_every_length_are_judged_alike() -> None:
    """SHA-512's blocks have 128 bytes; the signature is OpenSSL's."""
    with Loader() as device:
        for length in [*range(1, 130), *range(130, 700, 41), AREA - 256]:
            device.lay(RUN, signed(program(7, length), (1, 0, 0), MAKER))
            assert device.start(), length
            device.lay(RUN + 200, b"\1" * 8)
            assert not device.start(), length


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.binary(min_size=8, max_size=8), st.binary(min_size=64, max_size=64)), max_size=60))
def test_no_packet_harms_it(packets: list[tuple[bytes, bytes]]) -> None:
    with Loader() as device:
        device.lay(RUN, OLD)
        device.start()
        device.works_by_itself()
        for packet, data in packets:
            if device.raw(packet) == b"t":
                device.data(data)
        device.reset()
        assert device.start()


def test_the_loaders_own_pages_are_out_of_reach() -> None:
    """The part's driver refuses them: pages below the program's, by the same numbers."""
    text = (METER / "stm32g0" / "loader" / "flash.c").read_text()
    assert text.count("!is_ours(place)") == 2
    assert "place >= LAYOUT_RUN && place < LAYOUT_STAGED + LAYOUT_AREA" in text
    assert (METER / "stm32g0" / "loader" / "link.ld").read_text().count("LENGTH = 24K") == 1
    assert RUN == 24 * 1024


MUTATIONS = {
    "no signature": ("loader/image.c", "scalar) == 0;", "scalar) <= 0;", "another's signature"),
    "older is fine": ("loader/update.c", "< image_version(LAYOUT_RUN)", "< 1u", "older"),
    "any part": ("loader/image.c", "!= IMAGE_OUR_PART", "== 0u", "another part's"),
    "no end": ("loader/update.c", "length > LAYOUT_AREA - came", "length > LAYOUT_AREA", "too long"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_loader_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, old, new, refused = MUTATIONS[name]
    folder = tmp_path / "meter"
    shutil.copytree(METER, folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    key = loader_rig.MAKER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    wrong = build_loader_host(tmp_path / "loader", key, folder)
    monkeypatch.setattr(loader_rig, "loader", lambda: str(wrong))
    data, why = REFUSED[refused]
    with Loader() as device:
        device.lay(RUN, OLD)
        device.start()
        said = ""
        try:
            update(device, data)
        except (Refusal, DeviceFault) as error:
            said = str(error)
        assert why not in said
