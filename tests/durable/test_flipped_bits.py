# SPDX-License-Identifier: Apache-2.0
"""The services start after one bit of a small file was flipped: they work, and report the file."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from flip_rig import A_PERSONS, OF_ITS_OWN, SIGNED, WorkingUnit

import soak_table
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.durable import broken, smallfile

A_FILE = 1  # bits per file in the short form
SEED = 17
SOAK_NS = round(float(os.environ.get("LINETAP_SOAK_MINUTES", "1")) * 60 * NS_PER_S)


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkingUnit]:
    yield WorkingUnit(tmp_path_factory.mktemp("working"))
    broken.forget()


def test_the_unit_itself_is_well(unit: WorkingUnit) -> None:
    unit.restore()
    outcome = unit.trial()
    assert (outcome.fault, outcome.crashed, outcome.lost, outcome.recorded) == ("", "", [], True)
    assert not broken.names()


def test_every_small_file_has_its_envelope(unit: WorkingUnit) -> None:
    """Signed files, files made by a person, and the unit's key have none."""
    bare = {str(name) for name in unit.small_files() if not smallfile.is_wrapped((unit.kept / name).read_bytes())}
    assert {name.rpartition("/")[2] for name in bare} <= SIGNED | A_PERSONS | OF_ITS_OWN, bare


def test_every_bit_of_every_envelope_counts(unit: WorkingUnit) -> None:
    """Flips every bit, but only reads the file: a service reacts to each broken envelope in the same way."""
    for name in unit.small_files():
        data = (unit.kept / name).read_bytes()
        if not smallfile.is_wrapped(data):
            continue
        kind = data.split(b'"')[3].decode()
        assert smallfile.unwrap(kind, data)
        for bit in range(0, 8 * len(data), 1 if len(data) < 4096 else 101):
            one = bytearray(data)
            one[bit // 8] ^= 1 << bit % 8
            changed = bytes(one)
            if smallfile.is_wrapped(changed):
                with pytest.raises(smallfile.Broken):
                    smallfile.unwrap(kind, changed)


def test_a_unit_with_one_changed_bit_starts_and_reports_it(unit: WorkingUnit) -> None:
    chosen = random.Random(SEED)
    for name in unit.small_files():
        size = 8 * (unit.kept / name).stat().st_size
        for _ in range(A_FILE):
            look_at(unit, name, chosen.randrange(size))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_whichever_bit(unit: WorkingUnit) -> None:
    """Flips the bits of all small files one at a time, in random order, until the time is over."""
    chosen = random.Random()
    names = unit.small_files()
    bits = [(name, bit) for name in names for bit in range(8 * (unit.kept / name).stat().st_size)]
    chosen.shuffle(bits)
    end_ns, trials = SYSTEM.monotonic_ns() + SOAK_NS, 0
    for name, bit in bits:
        if SYSTEM.monotonic_ns() >= end_ns:
            break
        look_at(unit, name, bit)
        trials += 1
    soak_table.add(f"one bit of a small file, {len(names)} files", trials)
    print(f"{trials} of {len(bits)} bits of {len(names)} small files were changed; lost 0, unsaid 0, crashed 0")


def look_at(unit: WorkingUnit, name: Path, bit: int) -> None:
    unit.restore()
    unit.flip(name, bit)
    outcome = unit.trial()
    said = f"bit {bit} of {name}: {outcome}"
    assert not outcome.crashed, said
    assert not outcome.fault, said
    assert outcome.recorded, said
    assert not outcome.lost, said
    whole = {name.name, name.name.removesuffix(".sig"), f"{name.name}.sig"}  # a bad signature can mean either file
    assert whole & outcome.named or is_rewritten(unit, name), said


def is_rewritten(unit: WorkingUnit, name: Path) -> bool:
    """Whether the recorder has already replaced its state file."""
    return name.name == "recorder.json" and bool(smallfile.unwrap("state", (unit.folder / name).read_bytes()))
