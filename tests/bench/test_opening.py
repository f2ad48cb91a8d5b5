# SPDX-License-Identifier: Apache-2.0
"""The demo's own proof must be able to fail, and its evidence bundle is checked by the published checker alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from bundle_rig import BundleRig
from linetap.ring import I16
from linetap_bench.demo.opening import LIKE, likeness_of, likeness_with_slips, make_and_check, open_and_check
from linetap_bench.exchange.feed import Played, PlayedLog
from linetap_core.codecs import g711
from linetap_core.errors import Refusal
from linetap_core.records import Audio, CallRecord
from sealing_rig import Rig
from unit_rig import make_unit

RNG = np.random.default_rng(3)
LINE = (RNG.standard_normal(40000) * 2000).astype(np.int16)


def test_likeness_is_one_for_what_was_said_and_not_for_something_else() -> None:
    heard = g711.decode(g711.encode(LINE[8000:24000]))
    assert likeness_of(heard, LINE) > 0.999
    holed = heard.copy()
    holed[4000:4800] = 0  # a tenth of a second lost
    assert likeness_of(holed, LINE) < LIKE
    doubled = np.concatenate([heard[:8000], heard[7920:-80]])  # ten milliseconds twice
    assert likeness_of(doubled, LINE) < LIKE
    assert likeness_of((RNG.standard_normal(16000) * 2000).astype(np.int16), LINE) < 0.1
    assert likeness_of(np.zeros(16000, np.int16), LINE) == 0
    assert likeness_of(LINE, LINE[:100]) == 0


def test_slips_of_the_cable_are_counted_and_do_not_hide_another_voice() -> None:
    heard = g711.decode(g711.encode(np.concatenate([LINE[4000:16000], LINE[16080:30000]])))
    likeness, slips = likeness_with_slips(heard, LINE)
    assert likeness > 0.9
    assert slips == 1
    other = (RNG.standard_normal(20000) * 2000).astype(np.int16)
    assert likeness_with_slips(other, LINE)[0] < 0.3


def logged(folder: Path, line: int, samples: I16) -> Path:
    played = Played(rate_hz=8000, lines=[line])
    log = PlayedLog(folder / "exchange", played)
    for at in range(0, len(samples), 777):
        log.add(samples[None, at : at + 777])
    log.close(played)
    return folder / "exchange"


@pytest.mark.parametrize("said", ["same", "other", "shorter", "slipped"])
def test_a_recording_is_opened_by_the_recipe_and_compared(tmp_path: Path, run_dir: Path, said: str) -> None:
    rig = Rig.make(tmp_path)
    folder = rig.create()
    heard = LINE[8000:24000]
    folder.write(g711.encode(heard).tobytes())
    record = CallRecord(call_id=folder.path.name, unit="closet-3f", line=3, audio=Audio(samples=16000))
    if said == "shorter":
        record.audio = Audio(samples=16001)
    folder.seal(record, rig.sign)
    slipped = np.concatenate([LINE[:16000], LINE[15200:]])  # the line goes on 0.1 s later than the recording has it
    on_line = {"other": LINE[::-1].copy(), "slipped": slipped}.get(said, LINE)
    (tmp_path / "custodian1.txt").rename(tmp_path / "custodian.txt")
    (tmp_path / "unit").mkdir()
    config = make_unit(tmp_path / "unit", run_dir).config
    config = msgspec.structs.replace(config, vault=str(rig.vault))
    log = logged(tmp_path, 3, on_line)
    if said != "same":
        said_of = {"slipped": r"in 2 pieces 100.0 %: the simulated cable or", "other": r"like what was on line 3$"}
        with pytest.raises(Refusal, match=said_of.get(said, "in its record")):
            open_and_check(tmp_path, config, [record], log)
        return
    opened = open_and_check(tmp_path, config, [record], log)
    assert opened.seconds == 2.0
    assert opened.wav.exists()
    assert not list(tmp_path.glob("opened*.key"))


def test_nothing_recorded_is_a_refusal(tmp_path: Path, run_dir: Path) -> None:
    config = make_unit(tmp_path, run_dir).config
    with pytest.raises(Refusal, match="no call was recorded"):
        open_and_check(tmp_path, config, [], tmp_path)


def test_the_demos_bundle_is_checked_by_what_is_published(bundled: BundleRig) -> None:
    folder = bundled.root / "demo"
    folder.mkdir()
    made = make_and_check(folder, bundled.call(), bundled.rig.signers_file)
    assert made.script.name == "check-bundle.sh"
    assert folder not in made.script.parents
    assert made.lines[-1].startswith("All checks succeeded.")
    assert not list((folder / "case").rglob("*.sh"))
