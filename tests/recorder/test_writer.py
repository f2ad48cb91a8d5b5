# SPDX-License-Identifier: Apache-2.0
"""The vault's thread, step by step: the sealed call equals the ring's content, whatever process is killed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap.config.schema import Config
from linetap.recorder.vault.callfolder.encoding import append_gap
from linetap.recorder.vault.callfolder.jobs import Job
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring import I16, Stretch
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.codecs import g711
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallEvent, CallRecord, Gap
from small_disk import files_limited_to, run_on_small_disk
from unit_rig import Unit, make_unit

CALL_ID = "20261124T225600.123Z-L01"
FIRST = 1000
NOW_NS = parse_rfc3339("2026-11-24T22:57:01.000Z")
AUDIO = np.random.default_rng(11).integers(-20_000, 20_000, 400_000).astype(np.int16)


class Source:
    """A line's past audio, complete except for holes."""

    def __init__(self) -> None:
        self.holes: list[tuple[int, int, str]] = []
        self.withheld: list[tuple[int, int]] = []  # must not be requested

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        assert line == 1
        assert all(end <= a or first >= b for a, b in self.withheld)
        samples = AUDIO[first:end].copy()
        gaps = []
        for frame, frames, cause in self.holes:
            a, b = max(frame, first), min(frame + frames, end)
            if a < b:
                samples[a - first : b - first] = 0
                gaps.append((a, b - a, cause))
        return Stretch(samples, gaps)


def writer(config: Config, source: Source) -> VaultWriter:
    key = keys.load_unit_key(Path(config.key).read_bytes())

    def signer(namespace: str) -> Callable[[bytes], str]:
        return lambda data: sshsig.sign(data, key, namespace)

    config.vault_path.mkdir(exist_ok=True)
    folder = config.vault_path / "outbox"
    outbox = Outbox(folder, config.unit, signer("linetap-event"), keys.fingerprint(key.public_key()), 1 << 20)
    clock = ManualClock(NOW_NS)
    unit_log = UnitKey(Path(config.key)).open_log(config, clock)
    return VaultWriter(Vault(config, source, outbox, signer(namespaces.RECORD), clock, unit_log))


def record(call_id: str = CALL_ID) -> CallRecord:
    return CallRecord(call_id=call_id, unit="floor-03", line=1, ended_at="2026-11-24T22:57:00.000Z")


def started(call_id: str = CALL_ID) -> CallEvent:
    return CallEvent(seq=0, event="started", at="2026-11-24T22:56:00.123Z", unit="floor-03", call_id=call_id, line=1)


def opened(unit: Unit, call_id: str = CALL_ID) -> I16:
    """The audio, by stock age alone."""
    recipe = (
        f"age -d -i {unit.epoch} key.age | age -d -i {unit.custodian} > {unit.folder}/call.key;"
        f" for p in audio.*.age; do age -d -i {unit.folder}/call.key $p; done"
    )
    folder = unit.config.vault_path / sealed.call_path(call_id)
    done = subprocess.run(["sh", "-c", recipe], cwd=folder, capture_output=True, timeout=120, check=False)
    assert done.stdout.startswith(b".snd")
    codes = np.frombuffer(done.stdout[int.from_bytes(done.stdout[4:8]) :], np.uint8)
    return g711.decode(codes)


def expected(end: int, holes: list[tuple[int, int, str]]) -> I16:
    audio = AUDIO[FIRST:end].copy()
    for frame, frames, _ in holes:
        audio[max(frame - FIRST, 0) : max(frame + frames - FIRST, 0)] = 0
    return g711.decode(g711.encode(audio))


def public_record(unit: Unit, call_id: str = CALL_ID) -> dict[str, object]:
    path = unit.config.vault_path / sealed.call_path(call_id) / sealed.RECORD
    found: dict[str, object] = json.loads(path.read_text())
    return found


def events(unit: Unit) -> list[str]:
    reader = OutboxReader(unit.config.vault_path / "outbox")
    return [json.loads(payload)["event"] for _, payload, _ in reader.from_seq(1, 1000)]


def logged(unit: Unit) -> list[str]:
    """The kinds of the log's leaves."""
    leaves = (unit.config.vault_path / "log" / "leaves.jsonl").read_bytes()
    return [json.loads(line)["kind"] for line in leaves.splitlines()]


def test_key_is_on_disk_before_audio_and_the_private_half_is_nowhere(unit: Unit) -> None:
    vault = writer(unit.config, Source())
    vault.open(CALL_ID, 1, FIRST)
    assert vault.step()
    folder = unit.config.vault_path / sealed.call_path(CALL_ID)
    assert sorted(path.name for path in folder.iterdir()) == ["key.age"]
    remembered = (unit.config.run_path / "calls" / f"{CALL_ID}.json").read_text()
    assert "age1" in remembered
    assert "AGE-SECRET-KEY" not in remembered


def test_nothing_beyond_the_permitted_frame_is_fetched(unit: Unit) -> None:
    vault = writer(unit.config, Source())
    vault.open(CALL_ID, 1, FIRST)
    vault.step()
    vault.permit(CALL_ID, FIRST + 9000)
    vault.step()
    assert vault.vault.recordings[CALL_ID].position == FIRST + 9000


def test_what_is_done_with_calls_is_logged_at_once_and_under_the_head(unit: Unit) -> None:
    vault = writer(unit.config, Source())
    assert vault.step()
    vault.log_leaf("start", NOW_NS, version="1")
    vault.open(CALL_ID, 1, FIRST)
    vault.close(CALL_ID, FIRST + 9000, record())
    assert vault.step()
    assert logged(unit) == ["start", "open", "index", "close"]
    assert json.loads((unit.config.vault_path / "log" / "head.json").read_text())["size"] == 4


def test_a_call_that_ended_before_its_first_sample_leaves_a_record_alone(unit: Unit) -> None:
    vault = writer(unit.config, Source())
    vault.open(CALL_ID, 1, FIRST)
    vault.close(CALL_ID, None, record())
    assert vault.step()
    folder = unit.config.vault_path / sealed.call_path(CALL_ID)
    assert sorted(path.name for path in folder.iterdir()) == [sealed.RECORD, sealed.SIGNATURE]


def apart(holes: list[tuple[int, int]]) -> list[tuple[int, int, str]]:
    """Separate, ordered holes, as in a ring."""
    found: list[tuple[int, int, str]] = []
    for frame, frames in sorted(holes):
        if not found or frame > found[-1][0] + found[-1][1]:
            found.append((frame, frames, "overrun"))
    return found


def without(holes: list[tuple[int, int, str]], withheld: list[tuple[int, int]]) -> list[tuple[int, int, str]]:
    """Holes that do not overlap withheld ranges."""
    return [h for h in holes if all(h[0] + h[1] <= a or h[0] >= b for a, b in withheld)]


steps = st.lists(st.tuples(st.sampled_from(["permit", "kill", "step"]), st.integers(1, 90_000)), max_size=14)
holes = st.lists(st.tuples(st.integers(0, 390_000), st.integers(1, 60_000)), max_size=3)
parties = st.lists(st.integers(FIRST + 1, 390_000), max_size=4, unique=True).map(sorted)


@settings(max_examples=25, deadline=None)
@given(steps=steps, holes=holes, parties=parties)
def test_any_kills_at_any_point_lose_and_double_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int]],
    holes: list[tuple[int, int]],
    parties: list[int],
) -> None:
    """A kill discards the object; unfinished jobs are handed on like in the checkpoint, and all jobs are given twice.

    `parties`: frames of changes, alternately to a party that has not heard the notice and to one that has.
    """
    folder = tmp_path_factory.mktemp("unit")
    unit = make_unit(folder, folder)
    source = Source()
    source.withheld = list(zip(parties[::2], parties[1::2], strict=False))
    source.holes = without(apart(holes), source.withheld)
    vault = writer(unit.config, source)
    given: list[Job] = []

    def ask(ask_vault: VaultWriter) -> None:
        ask_vault.report(started())
        ask_vault.open(CALL_ID, 1, FIRST)
        given[:] = ask_vault.unfinished()

    ask(vault)
    permitted = FIRST
    for what, amount in steps:
        if what == "permit":
            permitted = min(permitted + amount, 390_000)
            vault.permit(CALL_ID, permitted, source.withheld)
        elif what == "step":
            assert vault.step()
        else:
            vault = writer(unit.config, source)
            vault.resume_jobs(given)
    end = max(permitted, FIRST + 1)
    vault.close(CALL_ID, end, record(), source.withheld)
    closing = vault.unfinished()
    assert vault.step()
    silenced = [(first, last - first, "not_announced") for first, last in source.withheld]
    assert np.array_equal(opened(unit), expected(end, [*source.holes, *silenced]))
    last = writer(unit.config, source)
    last.resume_jobs([*given, *closing])
    assert last.step()
    assert events(unit) == ["started", "sealed"]
    kinds = [kind for kind in logged(unit) if kind != "index"]  # logged again after each restart
    assert kinds == ["open", *(["gap"] if public_record(unit)["audio"]["gaps"] else []), "close"]  # type: ignore[index]
    told = public_record(unit)["audio"]
    assert isinstance(told, dict)
    assert told["samples"] == end - FIRST
    silent = np.zeros(end - FIRST, np.bool_)
    causes = {gap["cause"] for gap in told["gaps"]}
    assert ("not_announced" in causes) == any(first < end for first, _ in source.withheld)
    for gap in told["gaps"]:
        at = round(gap["at_s"] * 8000)
        assert not silent[at : at + round(gap["ms"] * 8)].any()
        silent[at : at + round(gap["ms"] * 8)] = True
    truth = np.zeros(end - FIRST, np.bool_)
    for frame, frames, _ in [*source.holes, *silenced]:
        truth[max(frame - FIRST, 0) : max(frame + frames - FIRST, 0)] = True
    assert np.array_equal(silent, truth)


def test_below_the_reserve_new_calls_are_refused_and_open_ones_go_on(unit: Unit) -> None:
    vault = writer(unit.config, Source())
    vault.open(CALL_ID, 1, FIRST)
    vault.step()
    full = msgspec.structs.replace(unit.config.storage, reserve_mb=1 << 30)
    vault._admission._config = msgspec.structs.replace(unit.config, storage=full)
    vault.permit(CALL_ID, FIRST + 9000)
    assert vault.step()
    assert vault.refused() == "disk_full"
    vault.close(CALL_ID, FIRST + 9000, record())
    assert vault.step()
    assert np.array_equal(opened(unit), expected(FIRST + 9000, []))
    vault._admission._config = unit.config
    vault.step()
    assert vault.refused() is None


def test_recordings_that_nobody_remembers_are_found(unit: Unit) -> None:
    vault = writer(unit.config, Source())
    vault.open(CALL_ID, 1, FIRST)
    vault.permit(CALL_ID, FIRST + 70_000)
    vault.step()
    vault.permit(CALL_ID, FIRST + 70_000)
    vault.step()
    fresh = writer(unit.config, Source())
    assert [orphan.call_id for orphan in fresh.orphans(set())] == [CALL_ID]
    assert fresh.orphans({CALL_ID}) == []


def test_orphans_are_looked_for_while_the_vaults_thread_opens_calls(unit: Unit) -> None:
    vault = writer(unit.config, Source())

    class Opening:
        @property
        def state(self) -> str:
            vault.vault.recordings[f"call {len(vault.vault.recordings)}"] = Opening()  # type: ignore[assignment]
            return "open"

    vault.vault.recordings["call 0"] = Opening()  # type: ignore[assignment]
    assert [str(state) for state in vault.orphans(set())] == ["open"]


def test_gaps_that_touch_are_one() -> None:
    first = Gap(1.0, 500.0, "overrun")
    assert append_gap([first], Gap(1.5, 250.0, "overrun")) == [Gap(1.0, 750.0, "overrun")]
    assert append_gap([first], Gap(1.5, 250.0, "capture_restart")) == [first, Gap(1.5, 250.0, "capture_restart")]
    assert len(append_gap([first], Gap(1.6, 250.0, "overrun"))) == 2


def test_audio_lost_to_a_failing_disk_was_not_lost_to_a_full_one(unit: Unit) -> None:
    """The signed record named a full disk for every error, also of a card that cannot be written any more."""
    source = Source()
    vault = writer(unit.config, source)
    vault.open(CALL_ID, 1, FIRST)
    with files_limited_to(70_000):
        for end in range(FIRST, FIRST + 300_000, 2000):
            vault.permit(CALL_ID, end)
            if not vault.step():
                break
    assert vault.refused() == "disk_error"
    kept = vault.vault.recordings[CALL_ID].position
    source.holes = [(kept, 4000, "ring_overtaken")]
    vault.close(CALL_ID, kept + 30_000, record())
    assert vault.step()
    audio = public_record(unit)["audio"]
    assert isinstance(audio, dict)
    assert audio["gaps"] == [{"at_s": (kept - FIRST) / 8000, "ms": 500.0, "cause": "disk_error"}]


def test_a_full_disk_is_waited_for_and_what_the_ring_lost_meanwhile_is_a_gap(tmp_path: Path) -> None:
    seen = run_on_small_disk(Path(__file__).with_name("full_vault.py"), tmp_path, 440)
    assert seen["refused"] == "disk_full"
    assert seen["nothing_works"]
    assert seen["old_call_untouched"]
    assert seen["goes_on"]
    assert seen["refused_now"] is None
    assert seen["audio_is_right"]
    (gap,) = seen["gaps"]
    assert [gap["at_s"], gap["ms"], gap["cause"]] == [*seen["gap_expected"], "disk_full"]
    assert seen["events"] == ["sealed", "started", "sealed"]


def test_where_few_more_files_can_be_made_new_calls_are_refused_and_open_ones_go_on(tmp_path: Path) -> None:
    """New calls were announced although not one file could be made for them, since megabytes were free."""
    seen = run_on_small_disk(Path(__file__).with_name("few_files.py"), tmp_path, 60_000, 3000)
    assert seen == {"refused_at_first": None, "refused": "disk_full", "samples": 9000, "refused_now": None}
