# SPDX-License-Identifier: Apache-2.0
"""The longest call that a unit may record can be opened, and its sound is written in blocks."""

from __future__ import annotations

import argparse
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pytest

from linetap.config.schema import Recording
from linetap_core.clock import S_PER_DAY
from linetap_core.codecs.codec import RATE_HZ
from linetap_core.evidence.sealing import age
from linetap_desk.custody.package import NAMES
from linetap_desk.release import open as opening
from linetap_desk.release.opening import PART_LIMIT_BYTES
from linetap_desk.unsealing import wav
from sealing_rig import Rig

MARGIN_S = 600  # a call may end late; a part also has what was said before


def test_no_unit_may_record_a_call_that_the_desk_does_not_open() -> None:
    assert msgspec.convert({"longest_call_s": S_PER_DAY}, Recording).longest_call_s == S_PER_DAY
    with pytest.raises(msgspec.ValidationError, match="<= 86400"):
        msgspec.convert({"longest_call_s": S_PER_DAY + 1}, Recording)
    data = (S_PER_DAY + MARGIN_S) * RATE_HZ
    sealed = age.HEADER_LIMIT_BYTES + data + (data // age.CHUNK_BYTES + 1) * (age.SEALED_CHUNK_BYTES - age.CHUNK_BYTES)
    assert sealed <= PART_LIMIT_BYTES
    limit = next(limit for name, limit in NAMES if name.fullmatch("calls/20261124T225600.123Z-L03/audio.001.age"))
    assert sealed <= limit


@pytest.mark.parametrize("sizes", [[], [0, 5], [1 << 20], [(1 << 20) + 1, 3_000_000, 1]])
def test_the_sound_is_written_in_blocks(sizes: list[int]) -> None:
    parts = [np.arange(size, dtype=np.int64).astype(np.int16) for size in sizes]
    head, *blocks = wav.stream(sum(sizes), iter(parts))
    assert head == wav.header(sum(sizes))
    assert max(map(len, blocks), default=0) <= 1 << 21
    assert b"".join(blocks) == b"".join(part.astype("<i2").tobytes() for part in parts)


def opened(folder: Path, samples: int, *more: str) -> int:
    """Opens a call of so many samples; returns the peak of memory."""
    folder.mkdir()
    rig = Rig.make(folder)
    path, parser = rig.sealed_call(samples), argparse.ArgumentParser()
    opening.add_arguments(parser)
    keys = ["--identity", str(rig.epoch_file), "--identity", str(rig.custodian_files[0])]
    args = parser.parse_args(
        [str(path), *keys, "--signers", str(rig.signers_file), "-o", str(folder / "call.wav"), *more]
    )
    tracemalloc.start()
    try:
        assert opening.run(args) == 0
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("age_is_there", [True, False])
def test_a_longer_call_takes_no_more_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_is_there: bool
) -> None:
    if not age_is_there:
        monkeypatch.setattr("linetap_core.system.program", lambda _name: None)
    opened(tmp_path / "first", 8000)  # imports, tables
    short, long = (opened(tmp_path / str(samples), samples) for samples in (2_000_000, 10_000_000))
    assert long < 10_000_000 // 2, "the ciphertext was held"
    assert long - short < 1 << 20, "the longer one has 8 MB more, and its sound 16 MB"
