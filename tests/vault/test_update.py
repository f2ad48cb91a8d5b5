# SPDX-License-Identifier: Apache-2.0
"""`update`: the operator's command becomes a file for root, and root's report is logged, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeping_rig import Keeper
from linetap.update import judge, state
from linetap_core.evidence.authorization.command import Answer
from linetap_core.records import UpdateState

SHA256 = "5f" * 32
WAITING = UpdateState(step="waiting", version="0.2.0", sha256=SHA256, by="command", at="2026-11-24T03:00:00.000Z")


@pytest.fixture
def unit(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    (run_dir / "release").write_text("VERSION=0.1.0\n")
    monkeypatch.setattr(judge, "RELEASE", run_dir / "release")
    keeper = Keeper(run_dir, run_dir)
    keeper.take_roles()
    state.folder_of(keeper.config).mkdir()
    return keeper


def ask(unit: Keeper, role: str = "operator", **body: str) -> Answer:
    whole = {"version": "0.2.0", "sha256": SHA256, "size": "300000000", **body}
    return unit.command(unit.envelope("update", role, whole))


def said(unit: Keeper, found: UpdateState, **more: Any) -> None:
    """Writes the update's state like root."""
    state.save(state.folder_of(unit.config), msgspec.structs.replace(found, **more))
    unit.tick()


def test_what_is_wanted_lies_where_root_looks(unit: Keeper) -> None:
    answer = ask(unit, url="https://updates.city.example/x.raucb")
    assert answer.done, answer.text
    assert "0.1.0 runs" in answer.text
    found = state.read_request(unit.vault / state.WISH)
    assert found is not None
    assert (found.version, found.sha256, found.size) == ("0.2.0", SHA256, 300_000_000)
    assert found.url == "https://updates.city.example/x.raucb"
    assert unit.leaves("command")[-1]["verb"] == "update"


def test_the_url_is_on_the_brokers_host_by_default(unit: Keeper) -> None:
    assert ask(unit).done
    found = state.read_request(unit.vault / state.WISH)
    assert found is not None
    assert found.url == f"https://{unit.config.broker.host}/linetap/linetap-0.2.0.raucb"


@pytest.mark.parametrize(
    "body",
    [
        {"version": "0.2"}, {"version": "../../etc"}, {"version": "0.2.0\n"}, {"version": "０.2.0"},
        {"sha256": "5f"}, {"sha256": "5F" * 32}, {"sha256": "5f" * 32 + "\n"},
        {"size": "0"}, {"size": "-1"}, {"size": "1e9"}, {"size": "9" * 12}, {"size": "9" * 5000}, {"size": "٣"},
        {"url": "http://updates/x"}, {"url": "file:///etc/shadow"}, {"url": "https://x/" + "x" * 1000}, {"url": ""},
        {"more": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_what_root_could_not_read_is_not_written(unit: Keeper, body: dict[str, str]) -> None:
    answer = ask(unit, **body)
    assert (answer.done, answer.code) == (False, "command_malformed"), answer.text
    assert not (unit.vault / state.WISH).exists()


def test_update_is_the_operators_command(unit: Keeper) -> None:
    for role in ("desk", "vault"):
        assert ask(unit, role).code == "command_role"


def test_an_older_version_is_refused_and_the_same_is_done(unit: Keeper) -> None:
    answer = ask(unit, version="0.0.9")
    assert (answer.done, answer.code) == (False, "update_older")
    answer = ask(unit, version="0.1.0")
    assert answer.done
    assert "runs already" in answer.text
    assert not (unit.vault / state.WISH).exists()


def test_a_machine_that_is_no_image_says_so(unit: Keeper) -> None:
    judge.RELEASE.unlink()
    assert ask(unit).code == "update_not_here"


def test_while_one_is_tried_neither_version_nor_configuration_changes(unit: Keeper) -> None:
    """The running version may have to be replaced by the old one, which must understand its files."""
    said(unit, WAITING, step="trying")
    assert ask(unit).code == "update_on_trial"
    body = {"document": "", "replaces": ""}
    assert unit.command(unit.envelope("config", "operator", body)).code == "update_on_trial"
    said(unit, WAITING, step="done")
    assert ask(unit).done


class TestLog:
    def test_what_came_of_it_is_a_leaf_once(self, unit: Keeper) -> None:
        said(unit, WAITING)
        assert unit.leaves("update") == []
        said(unit, WAITING, step="failed", code="update_fetch", text="no answer")
        unit.ticks()
        (leaf,) = unit.leaves("update")
        assert {key: leaf[key] for key in ("version", "sha256", "by", "code", "at")} == {
            "version": "0.2.0", "sha256": SHA256, "by": "command", "code": "update_fetch", "at": WAITING.at,
        }  # fmt: skip
        unit.restart()
        unit.ticks()
        assert len(unit.leaves("update")) == 1

    def test_however_long_the_log_has_become_since(self, unit: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        said(unit, WAITING, step="done")
        monkeypatch.setattr("linetap.recorder.vault.log.log.REMEMBERED", 1)
        assert unit.command(unit.envelope("identify", "desk", {"seconds": "1"})).done
        unit.restart()
        unit.ticks()
        assert len(unit.leaves("update")) == 1

    def test_the_next_one_is_another(self, unit: Keeper) -> None:
        said(unit, WAITING, step="done")
        said(unit, WAITING, step="failed", at="2026-11-25T03:00:00.000Z")
        assert [leaf["code"] for leaf in unit.leaves("update")] == ["done", "failed"]

    def test_a_recorder_that_was_away_finds_it(self, unit: Keeper) -> None:
        state.save(state.folder_of(unit.config), msgspec.structs.replace(WAITING, step="done"))
        unit.restart()
        unit.tick()
        assert [leaf["code"] for leaf in unit.leaves("update")] == ["done"]
        assert unit.upkeep.update.state is not None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"step":"lost"}'])
def test_whatever_stands_there_ends_no_recorder(unit: Keeper, text: bytes) -> None:
    (state.folder_of(unit.config) / state.STATE).write_bytes(text)
    unit.tick()
    assert unit.upkeep.update.state is None
    assert ask(unit).done
