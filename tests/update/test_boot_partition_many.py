# SPDX-License-Identifier: Apache-2.0
"""65,000 files at the top of the boot partition, as many as a FAT16's root or a stranger may have: each program that
reads it ends, and names of two spellings are named in one line."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from test_boot_partition_bounds import run

from boot_rig import SCRIPT, Boot
from linetap.provision import cardfiles
from linetap.update import eepromfiles
from linetap_core.errors import BadInput

MANY = 65_000
MOST_READ_KB = 64 << 10


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Boot:
    made = Boot(tmp_path_factory.mktemp("crowd"), pi=False)
    made.lay("b", "0.2.0")
    for number in range(MANY):
        (made.boot / f"x{number:05d}.new").touch()
    return made


@pytest.mark.parametrize("words", ["get-primary", "get-current", "get-state b", "report", "set-state a good"])
def test_the_slots_are_found_among_them(crowd: Boot, words: str) -> None:
    said = run(crowd, ["sh"], f"{SCRIPT} {words}")
    if words == "get-primary":
        assert said == "a"


def test_a_card_s_files_are_looked_for_among_them(crowd: Boot) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cardfiles.require_names(crowd.boot)
    cardfiles.require_certificate(crowd.boot, "floor-03", names_one=True)
    cardfiles.move_folders_away(crowd.boot, ("linetap.txt",))
    eepromfiles.clear(crowd.boot)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_READ_KB


@pytest.mark.parametrize("other", ["linetap.toml.", "linetap.toml ", "linetap (1).toml", "linetap.toml.txt"])
def test_a_second_spelling_is_named_in_one_line(tmp_path: Path, other: str) -> None:
    """A system that keeps dots and spaces at the end of a long name may have written it."""
    for name in ("linetap.toml", other):
        (tmp_path / name).write_text("x")
    with pytest.raises(BadInput) as caught:
        cardfiles.require_names(tmp_path)
    assert "\n" not in str(caught.value)
