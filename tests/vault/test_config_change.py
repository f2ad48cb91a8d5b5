# SPDX-License-Identifier: Apache-2.0
"""`config`: accepted or refused as a whole, effective between two calls, reported clearly; and the settings that no
command may change.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import config_file
from disk_writes import replace_durably_by
from keeping_rig import DAY, Keeper, midnight
from linetap.config import Config, change, config_sha256, load_config
from linetap.config.profile import Profile
from linetap.config.schema import Line, Recording, RetentionClass, RetentionPolicy
from linetap.recorder.vault.commands import configchange
from linetap_core.clock import NS_PER_MS
from linetap_core.durable.files import replace_durably
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.keys import keys
from linetap_core.service import AGAIN_AFTER_MS, StateFile, ask_to_start_again
from state_files import recorder
from state_files import unit as made


class Changed(Keeper):
    """A Keeper started from a file."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir, run_dir)
        named = msgspec.structs.replace(self.config.keys, key_list=str(run_dir / "keylist.json"))
        self.config_file = config_file.write(run_dir / "unit.toml", msgspec.structs.replace(self.config, keys=named))
        self.restart()
        self.take_roles()

    def restart(self, boot: bool = False, off_ns: int = 0) -> None:
        """Restarts the service from the file as it is now."""
        assert self.config_file is not None
        self.config = load_config(self.config_file)
        super().restart(boot, off_ns)

    def file(self, suffix: str = "") -> Path:
        assert self.config_file is not None
        return self.config_file.with_name(f"unit.toml{suffix}")

    def with_(self, part: str, **changes: Any) -> Config:
        return msgspec.structs.replace(
            self.config, **{part: msgspec.structs.replace(getattr(self.config, part), **changes)}
        )

    def with_line(self, **changes: Any) -> Config:
        first, *others = self.config.line
        return msgspec.structs.replace(self.config, line=[msgspec.structs.replace(first, **changes), *others])

    def ask(self, new: Config | str, **body: str) -> Answer:
        """Sends the configuration signed by two people, as a weakening requires: tests/attack/test_weakening.py tests
        that.
        """
        document = new if isinstance(new, str) else config_file.text(new)
        whole = {"document": document, "replaces": config_sha256(self.config), **body}
        return self.command(self.cosigned(self.envelope("config", "operator", whole), "vault"))

    def quietly(self) -> None:
        """A moment without a call."""
        self.upkeep.change.quiet = True
        self.upkeep.tick(busy=False, room=lambda: (self.room, self.room))


@pytest.fixture
def unit(run_dir: Path) -> Changed:
    return Changed(run_dir)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith(("unit.toml", ".unit"))}


def test_a_configuration_takes_effect_between_calls_and_the_old_one_is_kept(unit: Changed) -> None:
    old, new = unit.file().read_bytes(), unit.with_("recording", notice_delay_ms=700)
    service = StateFile(unit.config.run_path, "recorder", unit.clock)
    answer = unit.ask(new)
    assert answer.done, answer.text
    assert answer.config_sha256 == unit.upkeep.change.pending == config_sha256(new)
    assert "recording.notice_delay_ms: 500 -> 700" in answer.text
    unit.tick()  # a call is in progress
    unit.upkeep.change.quiet = True
    unit.tick()
    unit.upkeep.change.quiet = False
    unit.upkeep.tick(busy=False, room=lambda: (unit.room, unit.room))
    assert unit.file().read_bytes() == old
    unit.clock.advance(1)
    unit.quietly()
    assert load_config(unit.file()) == new
    assert unit.file(configchange.PREVIOUS).read_bytes() == old
    assert names(unit.file().parent) == {"unit.toml", "unit.toml.kept", "unit.toml.previous"}
    (leaf,) = unit.leaves("config")
    assert leaf["sha256"] == config_sha256(new)
    assert leaf["replaces"] == config_sha256(unit.config)
    assert leaf["changes"] == ["recording.notice_delay_ms: 500 -> 700"]
    service.write(recorder())
    assert service.outdated
    unit.restart()
    assert unit.upkeep.change.pending is None


def test_every_error_is_reported_at_once_and_nothing_is_changed(unit: Changed) -> None:
    before = {path.name: path.read_bytes() for path in unit.file().parent.iterdir() if path.is_file()}
    text = config_file.text(unit.config).replace("deaf_calls = 3", "deaf_calls = 0\nlisten = true")
    answer = unit.ask(text.replace('profile = "kr-pstn"', 'profile = "none"'))
    assert (answer.done, answer.code) == (False, "config_invalid")
    for word in ("recording.deaf_calls = 0", "unknown key recording.listen", "no profile 'none'", "unit.toml:"):
        assert word in answer.text
    assert "candidate" not in answer.text
    after = {path.name: path.read_bytes() for path in unit.file().parent.iterdir() if path.is_file()}
    assert after == before
    assert unit.upkeep.change.pending is None


def test_a_configuration_replaces_only_the_one_that_it_names(unit: Changed) -> None:
    answer = unit.ask(unit.with_("recording", deaf_calls=5), replaces="0" * 64)
    assert answer.code == "config_other"
    assert config_sha256(unit.config) in answer.text


def test_the_last_one_counts_and_the_one_in_effect_takes_it_back(unit: Changed) -> None:
    assert unit.ask(unit.with_("recording", deaf_calls=5)).done
    second = unit.with_("recording", deaf_calls=6)
    assert unit.ask(second).done
    assert unit.ask(unit.with_("keys", overflow_number=2)).code == "config_fixed"
    assert unit.upkeep.change.pending == config_sha256(second), "what is refused takes nothing with it"
    assert load_config(unit.file(configchange.NEXT)) == second
    assert unit.ask(unit.config).done
    unit.quietly()
    assert not unit.leaves("config")
    assert names(unit.file().parent) == {"unit.toml", "unit.toml.kept"}


FIXED: list[tuple[str, str, dict[str, Any]]] = [
    ("unit", "", {"unit": "floor-04"}),
    ("key", "", {"key": "/elsewhere/unit.key"}),
    ("vault", "", {"vault": "/elsewhere/vault"}),
    ("run_dir", "", {"run_dir": "/elsewhere/run"}),
    ("notices", "", {"notices": "/elsewhere/notices"}),
    ("learned", "", {"learned": "/elsewhere/learned"}),
    ("keys.custodians", "keys", {"custodians": ["age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"]}),
    ("keys.overflow_number", "keys", {"overflow_number": 2}),
    ("board.pins", "board", {"pins": "/elsewhere/pins.toml"}),
    ("broker.port", "broker", {"port": 1}),
    ("broker.host", "broker", {"host": "127.0.0.1"}),
    ("retention.zone", "retention", {"zone": "UTC"}),
    ("retention.largest_gap_days", "retention", {"largest_gap_days": 365}),
    ("smdr.port", "smdr", {"port": "/dev/ttyS1"}),
    ("line 1.channel", "line", {"channel": 2, "number": 9}),
    ("line 1.number", "line", {"number": 9}),
]


@pytest.mark.parametrize(("key", "part", "changes"), FIXED, ids=[key for key, _, _ in FIXED])
def test_what_belongs_to_keys_hardware_and_clock_no_command_changes(
    unit: Changed, key: str, part: str, changes: dict[str, Any]
) -> None:
    if part == "line":
        unit.config = msgspec.structs.replace(unit.config, line=unit.config.line[:1])
        unit.file(".kept").unlink()  # otherwise a removed line would be held
        config_file.write(unit.file(), unit.config)
        unit.restart()
        new = unit.with_line(**changes)
    else:
        new = unit.with_(part, **changes) if part else msgspec.structs.replace(unit.config, **changes)
    answer = unit.ask(new)
    assert (answer.done, answer.code) == (False, "config_fixed"), answer.text
    assert key in answer.text
    assert names(unit.file().parent) == {"unit.toml", "unit.toml.kept"}


def test_the_authority_stays_who_it_is(unit: Changed) -> None:
    stranger = keys.public_line(unit.people.stranger.public_key())
    answer = unit.ask(unit.with_("keys", authority=stranger))
    assert answer.code == "config_fixed"
    assert "keys.authority" in answer.text


def test_a_table_that_nobody_has_thought_about_is_fixed() -> None:
    """The author of a new table in the schema decides here whether a command may change it."""
    assert set(Config.__struct_fields__) - set(change.CHANGEABLE) == {
        "unit", "site_number", "key", "vault", "run_dir", "notices", "learned", "board", "keys", "card", "broker",
        "home_assistant",
    }  # fmt: skip


class TestNotice:
    @pytest.mark.parametrize(
        ("part", "changes", "told"),
        [
            (
                "recording",
                {"on_notice_failure": "record_and_flag"},
                'on_notice_failure: "discard" -> "record_and_flag"',
            ),
            ("recording", {"record_emergency": True}, "record_emergency: false -> true"),
            ("recording", {"notice": "short"}, 'notice: "ko" -> "short"'),
            ("recording", {"internal_pattern": ".*"}, "internal_pattern"),
            ("recording", {"deaf_calls": 1000}, "deaf_calls: 3 -> 1000"),
            ("line", {"exempt": True}, "line 1.exempt: false -> true"),
            ("line", {"notice": "short"}, 'line 1.notice: nothing -> "short"'),
        ],
    )
    def test_whatever_changes_it_stands_in_answer_log_and_journal(
        self, unit: Changed, caplog: pytest.LogCaptureFixture, part: str, changes: dict[str, Any], told: str
    ) -> None:
        notices = Path(unit.config.notices)
        (notices / "short.wav").write_bytes((notices / "ko.wav").read_bytes())
        answer = unit.ask(unit.with_line(**changes) if part == "line" else unit.with_(part, **changes))
        assert answer.done, answer.text
        assert told in answer.text
        unit.quietly()
        assert any(told in each for each in unit.leaves("config")[0]["changes"])
        assert told in caplog.text
        assert "config_changed" in caplog.text

    def test_a_notice_that_is_not_there_is_refused(self, unit: Changed) -> None:
        assert "no notice 'silence'" in unit.ask(unit.with_("recording", notice="silence")).text

    def test_a_notice_that_has_gone_meanwhile_leaves_all_as_it_was(self, unit: Changed) -> None:
        """It is checked again when it takes effect: no service starts with an unusable configuration."""
        other = Path(unit.config.notices) / "short.wav"
        other.write_bytes((other.parent / "ko.wav").read_bytes())
        before = unit.file().read_bytes()
        assert unit.ask(unit.with_("recording", notice="short")).done
        other.unlink()
        unit.quietly()
        assert unit.file().read_bytes() == before
        assert unit.upkeep.change.pending is None
        assert not unit.leaves("config")

    def test_no_configuration_turns_it_off_and_records(self) -> None:
        """Two departures record calls that are not recorded by default; each is named in health and by a standing
        check.
        """
        assert change.departures(_config(on_notice_failure="record_and_flag")) == ["record_and_flag"]
        assert change.departures(_config(record_emergency=True)) == ["record_emergency"]
        assert change.departures(_config()) == []
        assert change.departures(_config(emergency_numbers=["112", "113", "119", "1345"])) == []
        for numbers in ([], ["112", "113"]):
            assert change.departures(_config(emergency_numbers=numbers)) == ["record_emergency"], "calls to 119"
        foreign = msgspec.structs.replace(
            _config(emergency_numbers=["110"]), retention=RetentionPolicy(zone="Asia/Tokyo")
        )
        assert change.departures(foreign) == []


def _config(**recording: Any) -> Config:
    return msgspec.structs.replace(made(Path("/nowhere")), recording=Recording(**recording))


def test_a_shorter_class_is_that_of_new_calls_alone(unit: Changed) -> None:
    old = unit.call()
    shorter = [RetentionClass(name="standard", days=1), RetentionClass(name="marked", days=180)]
    answer = unit.ask(unit.with_("retention", classes=shorter))
    assert "retention.classes standard.days: 60 -> 1" in answer.text
    unit.clock.advance(1_000_000)
    waiting = unit.call()
    unit.quietly()
    unit.restart()
    unit.clock.advance(1_000_000)
    new = unit.call()
    unit.clock.advance(midnight(unit.clock.utc_ns(), 1) - unit.clock.utc_ns() + 1_000_000_000)
    unit.ticks()
    assert unit.destroyed() == [new.call_id]
    assert unit.is_whole(old)
    assert unit.is_whole(waiting), "it ended while the shorter class waited"
    unit.passes(59)
    assert set(unit.destroyed()) == {new.call_id, old.call_id, waiting.call_id}


class TestPower:
    @pytest.mark.parametrize("at", range(1, 8))
    def test_a_kill_anywhere_leaves_the_old_one_or_the_new_one(
        self, unit: Changed, at: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """At each of its steps; the next recorder continues, and every service started earlier restarts."""
        old, new = unit.config, unit.with_("recording", deaf_calls=5)
        assert unit.ask(new).done
        service = StateFile(unit.config.run_path, "capture@1", unit.clock)
        unit.clock.advance(1)
        steps = _cut_at(at, monkeypatch)
        try:
            unit.quietly()
        except _Cut:
            monkeypatch.undo()
            unit.restart()
            assert unit.config in (old, new)
            unit.quietly()
            unit.restart()
            unit.clock.advance(AGAIN_AFTER_MS * NS_PER_MS)
            service.write(recorder())
            assert service.outdated == (at > 4), "what was killed behind the change asks everybody"
        assert at <= len(steps)
        assert unit.config == new
        assert names(unit.file().parent) == {"unit.toml", "unit.toml.kept", "unit.toml.previous"}
        assert {leaf["sha256"] for leaf in unit.leaves("config")} == {config_sha256(new)}

    def test_a_folder_that_takes_nothing_is_a_refusal_and_not_a_trap(
        self, unit: Changed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read_only(path: Path, data: bytes, like: Path | None = None) -> None:
            if path.name.startswith("unit.toml"):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            _WRITE(path, data, like)

        replace_durably_by(monkeypatch, read_only)
        answer = unit.ask(unit.with_("recording", deaf_calls=5))
        assert answer.code == "config_unwritable"
        assert "Read-only" in answer.text
        assert unit.command(unit.envelope("identify", "desk", {"seconds": "5"})).done, "the next one is not held up"

    def test_a_waiting_configuration_survives_a_power_cut(self, unit: Changed) -> None:
        new = unit.with_("recording", deaf_calls=5)
        assert unit.ask(new).done
        unit.restart(boot=True)
        assert unit.upkeep.change.pending == config_sha256(new)
        unit.quietly()
        unit.restart()
        assert unit.config == new


class _Cut(BaseException):
    pass


_WRITE = replace_durably


def _cut_at(nth: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A kill before the nth of: grants, leaf, previous, unit.toml, the new comparison copy, the notification of
    services, the end of the waiting.
    """
    steps: list[str] = []

    def cut(name: str) -> None:
        steps.append(name)
        if len(steps) == nth:
            raise _Cut

    def write(path: Path, data: bytes, like: Path | None = None) -> None:
        if path.name.startswith("unit.toml"):
            cut(path.name)
        _WRITE(path, data, like)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == "unit.toml.next":
            cut("end")
        _UNLINK(path, missing_ok)

    def ask(*args: Any) -> None:
        cut("asked")
        _ASK(*args)

    def tell(*args: Any) -> None:
        cut("leaf")
        _TELL(*args)

    replace_durably_by(monkeypatch, write)
    monkeypatch.setattr("linetap.recorder.vault.commands.configchange.ask_to_start_again", ask)
    monkeypatch.setattr(configchange.ConfigChange, "_log_change", tell)
    monkeypatch.setattr(Path, "unlink", unlink)
    return steps


_ASK, _TELL, _UNLINK = ask_to_start_again, configchange.ConfigChange._log_change, Path.unlink


def test_whoever_could_read_the_old_one_can_read_the_new_one(unit: Changed) -> None:
    unit.file().chmod(0o644)
    before = os.umask(0o077)
    try:
        assert unit.ask(unit.with_("recording", deaf_calls=5)).done
        unit.quietly()
    finally:
        os.umask(before)
    assert unit.file().stat().st_mode & 0o777 == 0o644


def test_a_link_stays_one_and_paths_are_those_of_its_folder(unit: Changed, run_dir: Path) -> None:
    """As in systemd/: /etc/linetap/unit.toml links to a folder of the recorder's."""
    active = run_dir / "active"
    active.mkdir()
    relative = config_file.text(unit.config).replace(f'"{run_dir}/', '"')
    (active / "unit.toml").write_text(relative)
    unit.file().unlink()
    unit.file().symlink_to(active / "unit.toml")
    unit.restart()
    answer = unit.ask(relative.replace("deaf_calls = 3", "deaf_calls = 5"))
    assert answer.done, answer.text
    unit.quietly()
    assert unit.file().is_symlink()
    assert names(active) == {"unit.toml", "unit.toml.kept", "unit.toml.previous"}
    unit.restart()
    assert unit.config.recording.deaf_calls == 5


def test_without_a_file_nothing_can_be_replaced(run_dir: Path) -> None:
    unit = Keeper(run_dir, run_dir)
    unit.take_roles()
    body = {"document": "", "replaces": config_sha256(unit.config)}
    assert unit.command(unit.envelope("config", "operator", body)).code == "config_unwritable"


def test_config_is_the_operators_command(unit: Changed) -> None:
    body = {"document": config_file.text(unit.config), "replaces": config_sha256(unit.config)}
    for role in ("desk", "vault"):
        assert unit.command(unit.envelope("config", role, body)).code == "command_role"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.text(max_size=200), st.sampled_from(["[" * 3000, "a = " + "[" * 3000, "a.b" * 3000, "\x00", "\ud7ff"]))
)
def test_any_text_is_refused_in_one_short_line(unit: Changed, text: str) -> None:
    answer = unit.ask(text)
    assert answer.code == "config_invalid"
    assert answer.text.isprintable()
    assert len(answer.text) < 3100
    assert names(unit.file().parent) == {"unit.toml", "unit.toml.kept"}


class TestServices:
    def test_capture_starts_again_only_for_its_own_lines(self) -> None:
        old = _config()
        line = [msgspec.structs.replace(each, exempt=True) if each.number == 1 else each for each in old.line]
        assert change.services(old, msgspec.structs.replace(old, line=line)) == ["recorder", "capture@1"]
        assert change.services(old, _config(deaf_calls=5)) == ["recorder"]

    @pytest.mark.parametrize(
        "changed", [{"notice": "en"}, {"mark_notice": "en"}, {"notice_tone_ms": 200}, {"beep_every_s": 15}]
    )
    def test_every_capture_starts_again_for_another_sound(self, changed: dict[str, object]) -> None:
        """Recorder and capture identify a notice by its samples: both must have the same."""
        old = made(Path("/nowhere"), lines=2, cards=2)
        new = msgspec.structs.replace(old, recording=msgspec.structs.replace(old.recording, **changed))
        assert change.services(old, new) == ["recorder", "capture@1", "capture@2"]

    def test_of_two_cards_one_goes_on(self) -> None:
        old = made(Path("/nowhere"), lines=2, cards=2)
        line = [msgspec.structs.replace(each, caller_id="off") if each.card == 2 else each for each in old.line]
        assert change.services(old, msgspec.structs.replace(old, line=line)) == ["recorder", "capture@2"]

    def test_all_of_them_for_what_is_common(self) -> None:
        old = _config()
        new = msgspec.structs.replace(old, storage=msgspec.structs.replace(old.storage, reserve_mb=1))
        assert change.services(old, new) == ["recorder", "reporter", "panel"]
        assert change.services(old, msgspec.structs.replace(old, profile=[Profile(name="pbx")])) == [
            "recorder", "capture@1",
        ]  # fmt: skip
        assert set(change.services(old, new)) <= set(change.all_services(old))


def test_what_changed_is_bounded_and_names_no_persons_number() -> None:
    old = _config()
    line = [msgspec.structs.replace(old.line[0], extension="2101"), old.line[1]]
    assert change.changes(old, msgspec.structs.replace(old, line=line)) == ["line 1.extension changed"]
    many = msgspec.structs.replace(old, line=[Line(number=n, channel=1, card=1) for n in range(1, 100)])
    told = change.changes(old, many)
    assert len(told) == change.MOST_LISTED + 1
    assert told[-1].endswith(" more")
    long = change.changes(old, _config(internal_pattern="x" * 10_000))
    assert len(long[0]) < 250


def test_a_month_later_it_is_still_known_what_waits(unit: Changed) -> None:
    assert unit.ask(unit.with_("recording", deaf_calls=5)).done
    unit.clock.advance(30 * DAY)
    unit.quietly()
    assert unit.leaves("config")
