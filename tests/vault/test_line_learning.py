# SPDX-License-Identifier: Apache-2.0
"""`learn`: a walk test's own measurements are stored by the operator's command, and nothing else is."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeping_rig import Keeper
from linetap import learned
from linetap.config import config_sha256
from linetap.config.profile import KR_PSTN
from linetap.learned import Learned
from linetap.notices import notices_of
from linetap.notices.level import gain_db
from linetap.recorder.vault.walks import Walks
from linetap_core.durable.files import replace_durably
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.signing import namespaces
from linetap_core.records import WalkedLine
from linetap_core.vaultformat.walkreport import WALKS_FOLDER, WalkReport

BEGAN, ENDED, LATER = "2026-11-24T03:00:00.000Z", "2026-11-24T03:05:00.000Z", "2026-11-24T04:00:00.000Z"


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Keeper:
    keeper = Keeper(tmp_path, run_dir)
    keeper.take_roles()
    return keeper


def line(number: int, **changes: Any) -> WalkedLine:
    facts: dict[str, Any] = {"colour": "green", "at": ENDED, "proof": "early", "score": 1.0, "echo_db": -14.2}
    facts |= {"on_hook_v": -48.24, "off_hook_v": -8.1, "echo_delay_ms": 31.25}
    return WalkedLine(line=number, **(facts | changes))


def walk(unit: Keeper, *lines: WalkedLine, began: str = BEGAN, **changes: Any) -> str:
    """A walk test whose report is in the vault; returns its SHA-256."""
    facts: dict[str, Any] = {"unit": "floor-03", "version": "0", "by": "button", "began_at": began, "ended_at": ENDED}
    facts |= {"ended_by": "done", "passed": True, "config_sha256": config_sha256(unit.config)} | changes
    Walks(unit.vault, unit.key.signer(namespaces.WALK), unit.log, unit.report).store(
        WalkReport(**facts, lines=list(lines))
    )
    newest = max((unit.vault / WALKS_FOLDER).glob("*.json"))
    return hashlib.sha256(newest.read_bytes()).hexdigest()


def learn(unit: Keeper, name: str = "", role: str = "operator", **other: Any) -> Answer:
    return unit.command(unit.envelope("learn", role, {"walk": name} if name else {}, **other))


def known(unit: Keeper) -> dict[int, Learned]:
    return learned.load(Path(unit.config.learned))


def test_learnt_values_are_shown_first_and_kept_only_when_the_report_is_signed(unit: Keeper) -> None:
    name = walk(unit, line(1), line(2, on_hook_v=24.0, off_hook_v=6.0))
    told = learn(unit)
    assert (told.done, known(unit)) == (True, {})
    assert name in told.text
    assert "not kept" in told.text
    assert "line 1 48.2 V and 8.1 V, echo -14.2 dB, after 31 ms" in told.text
    stamp = learned.stamp(Path(unit.config.learned))
    kept = learn(unit, name)
    assert (kept.done, "kept" in kept.text) == (True, True)
    assert learned.stamp(Path(unit.config.learned)) != stamp, "recorder and capture look again"
    first = Learned(
        on_hook_v=48.24, off_hook_v=8.1, reversed=False, echo_db=-14.2, echo_delay_ms=31.2, learned_at=ENDED
    )
    second = msgspec.structs.replace(first, on_hook_v=24.0, off_hook_v=6.0, reversed=True)
    assert known(unit) == {1: first, 2: second}
    assert not Path(unit.config.learned).exists(), "root's folder is root's"
    assert unit.leaves("command")[-1]["code"] == "done"


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"on_hook_v": None, "off_hook_v": None, "proof": "absent"},
        {"on_hook_v": None, "off_hook_v": None, "proof": "partial"},
        {"on_hook_v": None, "off_hook_v": None, "score": 0.5},
        {"on_hook_v": None, "off_hook_v": None, "echo_db": -30.0},
        {"on_hook_v": -480.0},
    ],
)
def test_what_proves_nothing_is_not_kept(unit: Keeper, changes: dict[str, Any]) -> None:
    name = walk(unit, line(1, **changes))
    answer = learn(unit, name)
    assert (answer.done, known(unit)) == (True, {})
    assert "nothing to keep" in answer.text
    assert "line 1 as it was" in answer.text


def test_a_line_without_a_meter_keeps_its_echo_alone(unit: Keeper) -> None:
    name = walk(unit, line(1, on_hook_v=None, off_hook_v=None))
    assert learn(unit, name).done
    assert known(unit) == {1: Learned(echo_db=-14.2, echo_delay_ms=31.2, learned_at=ENDED)}


def test_a_later_measurement_stays_and_an_earlier_digit_too(unit: Keeper) -> None:
    folder = Path(unit.config.learned)
    learned.save(folder, 1, Learned(on_hook_v=50.0, learned_at=LATER))
    learned.save(folder, 2, Learned(near_digit_dbm0=-9.0, on_hook_v=50.0, learned_at=BEGAN))
    assert "line 1 as it was; line 2 48.2 V" in learn(unit, walk(unit, line(1), line(2))).text
    name = hashlib.sha256(next((unit.vault / WALKS_FOLDER).glob("*.json")).read_bytes()).hexdigest()
    assert learn(unit, name).done
    assert not learned.path_of(learned.accepted(folder), 1).exists()
    assert known(unit)[1] == Learned(on_hook_v=50.0, learned_at=LATER)
    assert (known(unit)[2].near_digit_dbm0, known(unit)[2].on_hook_v) == (-9.0, 48.24)


def test_the_gain_of_the_notice_is_not_in_the_echo(unit: Keeper) -> None:
    """On a learnt line a notice is played louder; the line itself does not change."""
    before = Learned(echo_db=-14.0, learned_at=BEGAN)
    learned.save(Path(unit.config.learned), 1, before)
    notice = notices_of(unit.config)[unit.config.recording.notice]
    gain = gain_db(notice.samples, before, unit.config.recording, KR_PSTN.notice)
    assert gain > 0
    assert learn(unit, walk(unit, line(1, echo_db=-14.0 + gain))).done
    assert known(unit)[1].echo_db == -14.0


def test_what_is_far_off_stands_until_somebody_confirms_it(unit: Keeper) -> None:
    assert learn(unit, walk(unit, line(1))).done
    assert not unit.leaves("weakening")
    far = walk(unit, line(1, on_hook_v=-12.0, off_hook_v=-2.0), began=LATER, ended_at="2026-11-24T04:05:00.000Z")
    assert learn(unit, far).done
    assert [leaf["codes"] for leaf in unit.leaves("weakening")] == [["learned"]]


def test_each_refusal_has_its_code(unit: Keeper) -> None:
    assert learn(unit).code == "learn_no_walk"
    old = walk(unit, line(1), config_sha256="0" * 64)
    assert learn(unit).code == "learn_other_config"
    assert learn(unit, old).code == "learn_other_config"
    assert learn(unit, "0" * 64).code == "learn_no_walk"
    for wrong in ("5f", "Z" * 64, old.upper()):
        assert learn(unit, wrong).code == "command_malformed"
    for role in ("desk", "vault", "authority"):
        assert learn(unit, old, role).code == "command_role"
    path = next((unit.vault / WALKS_FOLDER).glob("*.json"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"-48.24", b"-12.24"))
    assert learn(unit, old).code == "learn_no_walk", "one that was changed since is another"
    assert known(unit) == {}
    assert msgspec.json.decode(data)["lines"][0]["on_hook_v"] == -48.24


def test_an_older_walk_than_the_newest_is_found_by_its_name(unit: Keeper) -> None:
    first = walk(unit, line(1))
    walk(unit, line(1, on_hook_v=-40.0), began=LATER, ended_at="2026-11-24T04:05:00.000Z")
    assert learn(unit, first).done
    assert known(unit)[1].on_hook_v == 48.24


@pytest.mark.parametrize("kept", [0, 1])
def test_a_folder_that_takes_nothing_holds_no_other_command_up(
    unit: Keeper, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """The configuration has a partition of its own: it may be full, or closed after damage, while the vault is well."""

    def read_only(path: Path, data: bytes, mode: int) -> None:
        if path != learned.path_of(learned.accepted(Path(unit.config.learned)), kept):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        replace_durably(path, data, mode=mode)

    name = walk(unit, line(1), line(2))
    monkeypatch.setattr(learned, "replace_durably", read_only)
    answer = learn(unit, name)
    assert (answer.done, answer.code) == (bool(kept), "done" if kept else "config_unwritable")
    assert ("line 2 not kept" if kept else "Read-only") in answer.text
    assert list(known(unit)) == [1] * kept
    assert unit.command(unit.envelope("identify", "desk", {"seconds": "5"})).done
    unit.restart()
    assert unit.command(unit.envelope("identify", "desk", {"seconds": "5"})).done
