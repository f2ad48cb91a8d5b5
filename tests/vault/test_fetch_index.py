# SPDX-License-Identifier: Apache-2.0
"""`fetch` of the index: the signed list has what the log proves, and only segments are sent."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexed_unit import Indexed
from keeping_rig import UNIT, Keeper
from linetap.recorder.vault.recordings import segmentlist
from linetap.recorder.vault.recordings.segmentlist import SegmentList, Stamp
from linetap_core.evidence.authorization.fetch import MOST_BYTES
from linetap_core.evidence.calls import indexhead
from linetap_core.evidence.calls.indexhead import ListHead
from linetap_core.evidence.keys import keys


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Indexed:
    keeper = Keeper(tmp_path, run_dir)
    keeper.upkeep.time.tick()
    keeper.take_roles()
    return Indexed(keeper)


def test_the_list_has_every_segment_as_it_is(unit: Indexed) -> None:
    for _ in range(3):
        unit.call()
    unit.restart()
    unit.call()
    found = unit.listed()
    assert [each.file for each in found.segments] == unit.names()
    assert len(unit.names()) == 2, "a restart begins the next segment"
    for each in found.segments:
        data = (unit.root / each.file).read_bytes()
        assert (each.size, each.sha256) == (len(data), indexhead.digest(data))
    assert found.unlisted == []


def test_stock_ssh_keygen_checks_its_head(unit: Indexed, tmp_path: Path) -> None:
    unit.call()
    signed = unit.head()
    key = keys.load_unit_key(Path(unit.keeper.config.key).read_bytes())
    (tmp_path / "signers").write_text(f"{UNIT} {keys.public_line(key.public_key())}\n")
    (tmp_path / "head.sig").write_text(signed.sig)
    words = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", UNIT, "-n", "linetap-head", "-s", "head.sig"]
    for text, status in ((signed.head, 0), (signed.head.replace("2026", "2027", 1), 255)):
        done = subprocess.run(words, input=text.encode(), cwd=tmp_path, capture_output=True, check=False, timeout=60)
        assert done.returncode == status, done.stderr


def test_a_head_is_newer_each_time_and_names_another_list_only_if_it_changed(unit: Indexed) -> None:
    def head() -> ListHead:
        return indexhead.check_head(unit.head(), UNIT, unit.signers)

    unit.call()
    first = head()
    unit.keeper.clock.advance(1_000_000_000)
    second = head()
    assert second.sha256 == first.sha256
    assert indexhead.is_older(first, second)
    assert not indexhead.is_older(second, first)
    unit.call()
    third = head()
    assert third.sha256 != first.sha256
    assert indexhead.is_older(second, third)


def test_a_segment_that_the_log_has_otherwise_is_not_vouched_for(unit: Indexed) -> None:
    unit.call()
    unit.restart()
    unit.call()
    unit.restart()
    unit.call()
    (changed, gone, kept) = unit.names()
    (unit.root / changed).write_bytes((unit.root / kept).read_bytes())
    (unit.root / gone).unlink()
    strange = unit.root / Path(kept).parent / "2026-11-20-009.age"
    strange.write_bytes(b"age-encryption.org/v1\n")
    found = unit.listed()
    assert [each.file for each in found.segments] == [kept]
    folder = Path(kept).parent.as_posix()
    said = {each.file: each.why for each in found.unlisted}
    assert said == {changed: "changed", gone: "missing", f"{folder}/2026-11-20-009.age": "not_logged"}


def test_a_power_cut_between_leaf_and_segment_leaves_the_one_before(unit: Indexed) -> None:
    """The leaf is on disk, the segment is not: the earlier content is what the unit wrote."""
    unit.call()
    (name,) = unit.names()
    before = (unit.root / name).read_bytes()
    unit.keeper.log.append("index", file=name, sha256="ab" * 32, call_id="20261124T031000.000Z-L01")
    found = unit.listed()
    assert [(each.file, each.sha256) for each in found.segments] == [(name, indexhead.digest(before))]
    assert found.unlisted == []


def test_a_long_log_is_read_a_little_at_a_time(unit: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that seals calls never reads more than this many leaves at once."""
    monkeypatch.setattr(segmentlist, "LEAVES_A_TICK", 3)
    monkeypatch.setattr(segmentlist, "FILES_A_TICK", 1)
    for _ in range(5):
        unit.call()
        unit.restart()
    answer = unit.ask(index="list")
    assert (answer.done, answer.listed) == (True, None)
    assert "leaves" in answer.text
    assert len(unit.listed().segments) == len(unit.names()) == 5


def test_nothing_is_read_that_nobody_waits_for(unit: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two requests a unit is as idle as without a desk."""
    unit.call()
    looked: list[int] = []
    stamps = SegmentList._stamps

    def counted(self: SegmentList) -> Iterator[tuple[str, Stamp]]:
        looked.append(1)
        return stamps(self)

    monkeypatch.setattr(SegmentList, "_stamps", counted)
    for _ in range(5):
        unit.keeper.tick()
    assert looked == []
    unit.listed()
    before = len(looked)
    for _ in range(5):
        unit.keeper.tick()
    assert len(looked) == before


def test_a_day_that_is_over_is_neither_listed_nor_missing(unit: Indexed) -> None:
    unit.call()
    assert len(unit.listed().segments) == 1
    unit.keeper.passes(62)
    assert unit.names() == []
    found = unit.listed()
    assert (found.segments, found.unlisted) == ([], [])


@pytest.mark.parametrize(
    "name",
    ["../vault.json", "2027-01-24/../../vault.json", "/etc/passwd", "", "list.json", "2027-01-24/2026-11-24-001.age\n",
     "2027-01-24", "2027-01-24/key.age", "2027-99-24/2026-11-24-001.age", "holds-1234567/2026-11-24-001.age"],
)  # fmt: skip
def test_nothing_but_a_segment_is_given(unit: Indexed, name: str) -> None:
    unit.call()
    answer = unit.ask(index=name, **{"from": "0", "most": "1000"})
    assert answer.code == "command_malformed", answer
    assert answer.granted is None


def test_a_segment_and_the_list_are_permitted_and_only_to_the_desk(unit: Indexed) -> None:
    unit.call()
    unit.listed()
    for name in (*unit.names(), "list"):
        body = {"index": name, "from": "10", "most": str(MOST_BYTES)}
        assert unit.ask(**body).granted == body
        assert unit.ask(**(body | {"from": "999999"})).code == "fetch_no_file"
        assert unit.ask(**(body | {"most": str(MOST_BYTES + 1)})).code == "command_malformed"
        for role in ("vault", "operator"):
            answer = unit.keeper.command(unit.keeper.envelope("fetch", role, body))
            assert (answer.code, answer.granted) == ("command_role", None)


def test_a_link_leads_nowhere(unit: Indexed) -> None:
    unit.call()
    (name,) = unit.names()
    (unit.root / name).unlink()
    (unit.root / name).symlink_to(Path(unit.keeper.config.key))
    assert unit.ask(index=name, **{"from": "0", "most": "10"}).code == "fetch_no_file"
