# SPDX-License-Identifier: Apache-2.0
"""Signed commands: those that a unit executes, and everything that it must refuse."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from disk_writes import replace_durably_by
from keeping_rig import DAY, UNIT, Keeper, midnight
from linetap.checks import Finding, Trouble
from linetap.recorder.vault.commands.commands import MOST_A_TICK, MOST_ANSWERS
from linetap.reporter.inbox import ANSWER_LIMIT_BYTES
from linetap_core import plainfile
from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.durable import broken
from linetap_core.evidence.authorization.command import LIMIT_BYTES, MAY, SUFFIX, Envelope
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.rundir import answers_for, commands_of
from state_files import Unit, suffering


@pytest.fixture
def unit(run_dir: Path) -> Keeper:
    keeper = Keeper(run_dir, run_dir)
    keeper.take_roles()
    return keeper


def time_body(unit: Keeper) -> dict[str, str]:
    return {"challenge": unit.upkeep.time.challenge, "utc": rfc3339(unit.clock.utc_ns())}


class TestEnvelope:
    def test_stock_ssh_keygen_checks_what_was_signed(self, unit: Keeper, tmp_path: Path) -> None:
        data = unit.envelope("time", "desk", time_body(unit))
        (tmp_path / "one.command").write_bytes(data)
        script = (
            "jq -j .sig one.command > one.sig; jq -j .command one.command |"
            " ssh-keygen -Y check-novalidate -n linetap-command -s one.sig"
        )
        done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    def test_a_good_one_is_done_answered_and_logged(self, unit: Keeper) -> None:
        answer = unit.command(unit.envelope("time", "desk", time_body(unit)))
        assert (answer.done, answer.code, answer.unit, answer.verb) == (True, "done", UNIT, "time")
        assert unit.leaves("command")[-1]["code"] == "done"

    def test_each_defect_has_its_code(self, unit: Keeper) -> None:
        body = time_body(unit)
        good = unit.envelope("time", "desk", body)
        text = json.loads(good)
        changed = json.dumps({**text, "command": text["command"].replace("floor-03", "floor-04")}).encode()
        past = rfc3339(unit.clock.utc_ns())
        cases: list[tuple[str, bytes]] = [
            ("command_unsigned", changed),
            ("command_unsigned", json.dumps({**text, "sig": ""}).encode()),
            ("command_malformed", json.dumps({"command": text["command"]}).encode()),
            ("command_malformed", json.dumps({**text, "more": 1}).encode()),
            ("command_malformed", b""),
            ("command_malformed", b"\xff\xfe"),
            ("command_malformed", b"[" * 200_000),
            ("command_malformed", b'{"command":' + b'{"a":' * 100_000),
            ("command_too_large", b" " * (LIMIT_BYTES + 1)),
            ("command_other_unit", unit.envelope("time", "desk", body, unit="floor-04")),
            ("command_signer", unit.envelope("time", "desk", body, by="stranger")),
            ("command_signer", unit.envelope("time", "desk", body, by="operator")),
            ("command_signer", unit.envelope("roles", "authority", {}, by="vault")),
            ("command_verb", unit.envelope("silence", "desk", {})),
            ("command_role", unit.envelope("hold", "desk", {})),
            ("command_role", unit.envelope("roles", "vault", {})),
            ("command_role", unit.envelope("time", "operator", body)),
            ("command_expired", unit.envelope("identify", "desk", {"seconds": "5"}, expires=past)),
            ("command_malformed", unit.envelope("time", "desk", body, expires="tomorrow")),
            ("command_malformed", unit.envelope("time", "desk", {"utc": past})),
            ("time_challenge", unit.envelope("time", "desk", {"challenge": "", "utc": past})),
        ]
        before = unit.now_ns
        for code, data in cases:
            answer = unit.command(data)
            assert (answer.done, answer.code) == (False, code), answer.text
        assert unit.now_ns == before
        logged = [leaf["code"] for leaf in unit.leaves("command")]
        assert "command_role" in logged
        assert not {"command_signer", "command_unsigned", "command_malformed"} & set(logged[:-2]), (
            "what nobody known has signed makes the log no longer"
        )

    def test_the_text_has_one_spelling(self, unit: Keeper) -> None:
        """A repeated key could be read in two ways."""
        text = json.loads(unit.envelope("time", "desk", time_body(unit)))["command"]
        twice = text.replace('"unit":"floor-03"', '"unit":"floor-04","unit":"floor-03"')
        sig = sshsig.sign(twice.encode(), unit.people.desk, "linetap-command")
        assert unit.command(msgspec.json.encode(Envelope(twice, sig))).code == "command_malformed"

    def test_every_changed_byte_is_found(self, unit: Keeper) -> None:
        data = unit.envelope("time", "desk", time_body(unit)).rstrip(b"\n")
        before = unit.upkeep.time.challenge
        for at in range(0, len(data), 7):
            broken = bytearray(data)
            broken[at] ^= 1
            assert not unit.command(bytes(broken)).done
        assert unit.upkeep.time.challenge == before

    def test_a_counter_is_good_once_over_restarts_too(self, unit: Keeper) -> None:
        first = unit.envelope("time", "desk", time_body(unit))
        assert unit.command(first).done
        assert unit.command(first).code == "command_repeated"
        unit.restart()
        assert unit.command(first).code == "command_repeated"
        used = json.loads(json.loads(first)["command"])["counter"]
        again = unit.envelope("time", "desk", time_body(unit), counter=used)
        assert unit.command(again).code == "command_repeated"
        assert unit.command(unit.envelope("time", "vault", time_body(unit), counter=used)).done, "each key has its own"

    @pytest.mark.parametrize("damage", [b"?", None])
    def test_lost_counters_are_taken_from_the_log(self, unit: Keeper, damage: bytes | None) -> None:
        """They do not start again: an executed command is refused, and the next one is accepted."""
        codes = ["done", "time_challenge", "command_malformed"]
        bodies = zip(("desk", "vault", "desk"), (time_body(unit), time_body(unit), {}), strict=True)
        done = [unit.envelope("time", role, body) for role, body in bodies]
        assert [unit.command(data).code for data in done] == codes
        lost(unit, damage)
        unit.restart()
        assert {unit.command(data).code for data in done} == {"command_repeated"}
        assert unit.command(unit.envelope("time", "desk", time_body(unit))).done
        aside = [path.read_bytes() for path in unit.vault.glob("commands.json.broken-*")]
        assert aside == ([damage] if damage is not None else [])

    def test_counters_that_cannot_be_read_stop_commands(self, unit: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plainfile, "open_plain", _unless_commands(plainfile.open_plain))
        unit.restart()
        assert unit.command(unit.envelope("time", "desk", time_body(unit))).code == "command_counters_lost"

    def test_a_wrong_clock_does_not_make_the_vault_roles_word_stale(self, unit: Keeper) -> None:
        unit.passes(1)
        true_ns = unit.clock.utc_ns()
        data = unit.envelope("time", "vault", time_body(unit))
        unit.clock.step_utc(4000 * DAY)
        unit.tick()
        assert unit.command(data).done
        assert abs((unit.now_ns or 0) - true_ns) < DAY


class TestIdentify:
    def test_for_as_long_as_was_said(self, unit: Keeper) -> None:
        identify = unit.upkeep.effects.identify
        assert unit.command(unit.envelope("identify", "desk", {"seconds": "600"})).done
        assert identify.until_ns == unit.clock.monotonic_ns() + 600 * NS_PER_S
        assert unit.command(unit.envelope("identify", "desk", {"seconds": "1"})).done
        assert identify.until_ns == unit.clock.monotonic_ns() + NS_PER_S, "the last word counts"

    @pytest.mark.parametrize("seconds", ["0", "601", "-1", "1.5", "", " 5", "٥", "1e2", "9" * 5000])
    def test_no_longer_than_ten_minutes(self, unit: Keeper, seconds: str) -> None:
        assert unit.command(unit.envelope("identify", "desk", {"seconds": seconds})).code == "command_malformed"
        assert unit.upkeep.effects.identify.until_ns == 0

    def test_it_is_the_desks(self, unit: Keeper) -> None:
        assert unit.command(unit.envelope("identify", "operator", {"seconds": "5"})).code == "command_role"


class TestSelfTest:
    def test_it_says_what_linetap_check_says(self, unit: Keeper) -> None:
        for second in range(15):  # nobody else lives here
            unit.clock.advance(NS_PER_S)
            unit.tick()
            assert second < 10 or "capture_dead" in self.found(unit)
        states = Unit(unit.config.run_path, unit.clock)
        states.states["recorder"] = suffering("line_cut")
        for _ in range(4):
            unit.clock.advance(NS_PER_S)
            states.write()
            unit.tick()
        assert self.found(unit) == ["line_cut"]

    @pytest.mark.parametrize("stalled", [set(), {"capture@1"}])
    def test_who_works_and_who_only_lives_is_known_at_the_first_question(self, unit: Keeper, stalled: set[str]) -> None:
        """It takes two polls to decide, and nobody waits for the second."""
        states = Unit(unit.config.run_path, unit.clock)
        for second in range(6):
            states.stalled = stalled if second > 3 else set()
            unit.clock.advance(NS_PER_S)
            states.write()
            unit.tick()
        assert self.found(unit) == (["codec_stalled"] if stalled else [])

    def found(self, unit: Keeper) -> list[str]:
        answer = unit.command(unit.envelope("self_test", "desk", {}))
        assert answer.done
        assert answer.findings is not None
        return [found.check for found in answer.findings]

    def test_an_answer_has_a_bound_and_the_worst_comes_first(
        self, unit: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        long = Trouble(
            severity="warning", text_ko="가" * 500, text_en="x" * 500, action_ko="나" * 500, action_en="y" * 500
        )
        bad = msgspec.structs.replace(long, severity="critical")
        standing = [Finding(f"check_{n}", "ok", "", bad if n == 39 else long) for n in range(40)]
        monkeypatch.setattr("linetap.recorder.vault.commands.selftest.checks.run", lambda _: standing)
        answer = unit.command(unit.envelope("self_test", "desk", {}))
        assert answer.findings is not None
        assert answer.findings[0].check == "check_39"
        assert 0 < len(answer.findings) < 40
        assert "40 findings, the worst" in answer.text
        assert len(msgspec.json.encode(answer)) < ANSWER_LIMIT_BYTES

    def test_it_takes_nothing(self, unit: Keeper) -> None:
        assert unit.command(unit.envelope("self_test", "desk", {"line": "1"})).code == "command_malformed"


class TestRefused:
    def test_each_is_counted_with_its_code_and_role(self, unit: Keeper) -> None:
        assert unit.upkeep.commands.refused.count == 0
        unit.clock.advance(NS_PER_S)
        unit.command(b"?")
        told = unit.upkeep.commands.refused
        assert (told.count, told.code, told.role) == (1, "command_malformed", "")
        assert told.mono_ns == unit.clock.monotonic_ns()
        unit.command(unit.envelope("hold", "desk", {}))
        told = unit.upkeep.commands.refused
        assert (told.count, told.code, told.role) == (2, "command_role", "desk")
        unit.command(unit.envelope("time", "desk", {"challenge": "", "utc": "2026-11-24T00:00:00Z"}))
        told = unit.upkeep.commands.refused
        assert (told.count, told.code, told.role) == (3, "time_challenge", "desk")
        unit.command(unit.envelope("ack", "desk", {"origin": "another", "through": "1"}))
        assert unit.upkeep.commands.refused.count == 3, "a confirmation that came late is no attempt"
        assert unit.command(unit.envelope("identify", "desk", {"seconds": "5"})).done
        assert unit.upkeep.commands.refused.count == 3

    def test_a_stranger_writes_no_line_of_the_log_and_fills_no_answer(
        self, unit: Keeper, caplog: pytest.LogCaptureFixture
    ) -> None:
        forged = "a\\n<6>recorder: all is well " + "x" * 100_000
        answer = unit.command(f'{{"command":"","sig":"","{forged}":1}}'.encode())
        assert answer.code == "command_malformed"
        assert len(answer.text) < 3100
        (record,) = (each for each in caplog.records if "command_malformed" in each.getMessage())
        assert record.getMessage().isprintable()
        assert "<6>recorder" in record.getMessage(), "the defect is in what was sent"


OF_A_BODY = [
    "document", "sig", "key_age", "challenge", "utc", "origin", "through", "from", "to", "seconds", "replaces",
    "weakening", "version", "sha256", "size", "url",
]  # fmt: skip


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    verb=st.sampled_from(sorted(MAY)),
    body=st.dictionaries(
        st.sampled_from(OF_A_BODY),
        st.text(max_size=60),
        max_size=4,
    ),
)
def test_a_known_key_with_any_body_ends_no_recorder(unit: Keeper, verb: str, body: dict[str, str]) -> None:
    """An accepted command is repeated after a restart: one that ended the thread would end it forever."""
    answer = unit.command(unit.envelope(verb, MAY[verb][0], body))
    assert answer.done == (answer.code == "done")
    assert answer.text.isprintable()
    assert not answer.done or verb in ("identify", "self_test")


def test_no_verb_can_silence_listen_or_shorten() -> None:
    """A new verb requires a decision here."""
    assert set(MAY) == {
        "identify", "self_test", "ack", "resend", "fetch", "config", "update",
        "time", "hold", "destroy", "roles", "key_list", "confirm", "cancel", "learn",
    }  # fmt: skip


def test_without_an_authority_nobody_commands(run_dir: Path) -> None:
    unit = Keeper(run_dir, run_dir)
    unit.config = msgspec.structs.replace(
        unit.config, keys=msgspec.structs.replace(unit.config.keys, authority=None)
    )  # fmt: skip
    unit.restart()
    assert unit.command(unit.envelope("roles", "authority", {})).code == "command_no_authority"


class TestRoles:
    def test_they_stay_over_a_restart(self, unit: Keeper) -> None:
        unit.restart()
        assert unit.command(unit.envelope("time", "desk", time_body(unit))).done

    def test_they_never_go_back(self, unit: Keeper) -> None:
        unit.take_roles(3)
        old = unit.signed("roles", "authority", unit.people.roles(2), "linetap-roles")
        assert unit.command(old).code == "roles_rollback"
        unit.restart()
        again = unit.signed("roles", "authority", unit.people.roles(2), "linetap-roles")
        assert unit.command(again).code == "roles_rollback"

    def test_a_role_named_authority_in_them_is_nobody(self, unit: Keeper) -> None:
        found = json.loads(unit.people.roles(2))
        found["people"][0]["role"] = "authority"
        data = unit.signed(
            "roles", "authority", json.dumps(found, separators=(",", ":"), sort_keys=True).encode(), "linetap-roles"
        )
        assert unit.command(data).done
        body = unit.envelope("roles", "authority", {}, by="vault")
        assert unit.command(body).code == "command_signer"

    @pytest.mark.parametrize("name", ["roles.json", "roles.json.sig", "roles.copy"])
    def test_a_changed_bit_in_them_is_put_back(self, unit: Keeper, name: str) -> None:
        path = unit.vault / name
        before = path.read_bytes()
        path.write_bytes(before[:-40] + bytes([before[-40] ^ 1]) + before[-39:])
        unit.restart()
        assert path.read_bytes() == before
        assert any(each.endswith(f"/{name}") for each in broken.names())
        assert unit.command(unit.envelope("time", "desk", time_body(unit))).done

    def test_damaged_ones_count_for_nobody(self, unit: Keeper) -> None:
        path = unit.vault / "roles.json"
        path.write_bytes(path.read_bytes().replace(b"the desk", b"the dusk"))
        path.with_name("roles.copy").write_bytes(b"")
        unit.restart()
        assert unit.command(unit.envelope("time", "desk", time_body(unit))).code == "command_signer"
        unit.take_roles(2)
        assert unit.command(unit.envelope("time", "desk", time_body(unit))).done


class TestDestroy:
    def certificate(self, unit: Keeper, epoch: str, by: str = "vault") -> bytes:
        data = document.encode(msgspec.defstruct("C", [("epoch", str)])(epoch))
        return unit.signed("destroy", "vault", data, "linetap-certificate", by)

    def test_the_word_that_an_epoch_is_gone_is_kept_and_logged(self, unit: Keeper) -> None:
        unit.passes(3)
        assert unit.command(self.certificate(unit, "2026-11-25")).done
        assert (unit.vault / "certificates" / "2026-11-25.json.sig").exists()
        assert unit.leaves("destruction")[-1]["epoch"] == "2026-11-25"
        assert unit.command(self.certificate(unit, "overflow-1")).done

    def test_officers_of_a_group_one_after_the_other(self, unit: Keeper) -> None:
        """Two of three open: one officer's certificate closes nothing, the second's does; the log has each."""
        unit.passes(3)
        kind = msgspec.defstruct("C", [("epoch", str), ("officers", list[int]), ("of", int), ("needed", int)])
        leaves = []
        for officer in (2, 2, 1, 3):
            data = document.encode(kind("2026-11-25", [officer], 3, 2))
            assert unit.command(unit.signed("destroy", "vault", data, "linetap-certificate")).done
            leaves.append((len(unit.leaves("certificate")), len(unit.leaves("destruction"))))
            assert (unit.vault / "certificates" / f"2026-11-25.officer-{officer}.json.sig").exists()
        assert leaves == [(1, 0), (1, 0), (1, 1), (1, 2)]
        for officers, of in (([4], 3), ([], 3), ([0], 3), ([1], 99)):
            data = document.encode(kind("2026-11-25", officers, of, 2))
            answer = unit.command(unit.signed("destroy", "vault", data, "linetap-certificate"))
            assert answer.code == "certificate_malformed"

    def test_it_makes_no_retention_shorter(self, unit: Keeper) -> None:
        record = unit.call()
        assert unit.command(self.certificate(unit, "2027-01-23")).code == "epoch_not_over"
        unit.ticks()
        assert unit.is_whole(record)

    def test_it_is_the_vault_roles(self, unit: Keeper) -> None:
        assert unit.command(self.certificate(unit, "overflow-1", by="desk")).code == "document_signature"
        for epoch in ("../../x", "2026-13-01", "", "overflow-x"):
            assert unit.command(self.certificate(unit, epoch)).code == "certificate_malformed"


class TestTime:
    def test_a_month_off_waits_for_two_officers_of_the_vault(self, unit: Keeper) -> None:
        assert unit.confirm_time().done
        record = unit.call()
        unit.passes(40)
        unit.restart(boot=True, off_ns=31 * DAY)
        unit.ticks()
        assert unit.is_whole(record)
        assert unit.upkeep.time.is_distrusted
        assert unit.tell_time("desk").code == "time_ahead"
        assert unit.tell_time("vault").code == "time_ahead"
        assert unit.tell_time("vault", cosigned=("desk",)).code == "time_ahead"
        assert unit.confirm_time().done
        unit.ticks()
        assert unit.destroyed() == [record.call_id]
        assert not unit.upkeep.time.is_distrusted

    def test_an_answer_is_good_once_and_in_its_own_boot(self, unit: Keeper) -> None:
        challenge = unit.upkeep.time.challenge
        unit.restart()
        unit.tick()
        assert unit.upkeep.time.challenge == challenge, "a recorder that restarts still knows what was asked"
        unit.restart(boot=True)
        unit.tick()
        assert unit.tell_time("vault", challenge=challenge).code == "time_challenge"
        challenge = unit.upkeep.time.challenge
        assert unit.tell_time("vault", challenge=challenge).done
        assert unit.tell_time("vault", challenge=challenge).code == "time_challenge"

    def test_nothing_goes_back(self, unit: Keeper) -> None:
        assert unit.confirm_time().done
        unit.passes(10)
        before = unit.now_ns
        assert unit.tell_time("vault", utc_ns=unit.clock.utc_ns() - 20 * DAY).code == "time_back"
        assert unit.confirm_time(unit.clock.utc_ns() - 20 * DAY).code == "time_back"
        assert unit.now_ns == before

    def test_a_vault_that_has_lost_its_clock_destroys_nothing(
        self, unit: Keeper, caplog: pytest.LogCaptureFixture
    ) -> None:
        record = unit.call()
        (unit.vault / "clock.json").unlink()
        unit.restart()
        unit.passes(100)
        assert unit.is_whole(record)
        assert "clock_forgotten" in caplog.text
        assert unit.tell_time("vault").code == "time_ahead"
        assert unit.confirm_time().done
        unit.ticks()
        assert unit.destroyed() == [record.call_id]


class TestSpool:
    def test_a_heap_of_them_is_taken_a_few_at_a_time(self, unit: Keeper) -> None:
        for n in range(MOST_ANSWERS + 20):
            unit.give(b"?", f"{n:04d}")
        unit.tick()
        answers = answers_for(unit.config.run_path, "reporter")
        assert len(list(answers.glob("*.answer"))) == MOST_A_TICK
        for _ in range(40):
            unit.tick()
        assert unit.upkeep.commands.refused.count == MOST_ANSWERS + 20, "each once, though nobody takes them away"
        assert len(list(answers.glob("*.answer"))) == MOST_ANSWERS
        for n in range(MOST_ANSWERS + 20):
            (commands_of(unit.config.run_path, "reporter") / f"{n:04d}{SUFFIX}").unlink()
        unit.tick()
        assert not list(answers.iterdir()), "answers to commands that are gone"

    def test_a_cut_between_the_counter_and_the_deed_does_the_deed(
        self, unit: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A command in time when it was accepted is in time when it is repeated."""
        record = unit.call()
        data = unit.hold(record, unit.clock.utc_ns() + 100 * DAY)
        unit.give(data)

        replace_durably_by(monkeypatch, _cut_in_holds)
        with pytest.raises(_Cut):
            unit.tick()
        monkeypatch.undo()
        unit.restart(boot=True, off_ns=5 * DAY)
        unit.clock.advance(midnight(unit.clock.utc_ns(), 60) - unit.clock.utc_ns())
        unit.ticks()
        assert unit.answer().done
        assert unit.is_whole(record)
        assert unit.upkeep.holds.until(record.call_id) is not None
        assert len(unit.leaves("hold")) == 1
        assert unit.command(data).code == "command_repeated"


class _Cut(BaseException):
    pass


def lost(unit: Keeper, damage: bytes | None) -> None:
    path = unit.vault / "commands.json"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)


def _unless_commands(opened: Callable[[Path], int]) -> Callable[[Path], int]:
    def open_plain(path: Path) -> int:
        if path.name == "commands.json":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path)

    return open_plain


def _cut_in_holds(path: Path, data: bytes) -> None:
    if "holds" in path.parts:
        raise _Cut
    path.write_bytes(data)


def test_the_key_list_comes_by_command_where_one_is_configured(unit: Keeper) -> None:
    answer = unit.command(unit.signed("key_list", "authority", b"{}", namespaces.KEY_LIST))
    assert answer.code == "key_list"
