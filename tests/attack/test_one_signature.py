# SPDX-License-Identifier: Apache-2.0
"""Unforeseen values with one signature, or none: they end no thread, and lengthen nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

import config_file
from attack_house import House
from keeping_rig import Keeper
from linetap.config import config_sha256
from linetap.config.retention import retention_of
from linetap.config.schema import MOST_DAYS, RetentionClass
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig


@pytest.fixture
def unit(run_dir: Path) -> House:
    return House(run_dir)


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("retention", {"classes": [RetentionClass(name="standard", days=3_000_000)]}),
        ("retention", {"classes": [RetentionClass(name="standard", days=(1 << 63) - 1)]}),
        ("retention", {"classes": [RetentionClass(name="s" * 200_000, days=200)], "default": "s" * 200_000}),
        ("recording", {"recommended_call_s": (1 << 63) - 1}),
        ("storage", {"outbox_mb": (1 << 63) - 1}),
    ],
    ids=["a day of no calendar", "no day at all", "a name that fills the record", "for ever", "all disks there are"],
)
def test_what_is_longer_for_one_operator_ends_no_recorder(unit: House, part: str, changes: dict[str, Any]) -> None:
    """It weakens nothing, so one signature sufficed; then the recorder failed at each call."""
    if part == "retention":
        changes = {"marked": None, **changes}
    assert unit.ask(unit.with_(part, **changes), "operator").code == "config_invalid"
    unit.quietly()
    assert unit.upkeep.change.pending is None


def test_the_longest_that_is_taken_has_a_day(unit: House) -> None:
    classes = [RetentionClass(name="c" * 100, days=MOST_DAYS), RetentionClass(name="marked", days=MOST_DAYS)]
    new = unit.with_("retention", classes=classes, default="c" * 100)
    answer = unit.ask(new, "operator")
    assert answer.done, answer.text
    found = retention_of(new, unit.clock.utc_ns(), 1, "recorded", marked=False)
    assert found.until is not None
    assert found.until.startswith("21")


@contextmanager
def taking_at_most(seconds: int) -> Iterator[None]:
    """Limits the processor's time: an endless computation takes hours."""

    def over(*_: object) -> None:
        raise AssertionError(f"it takes more than {seconds} s")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def respelled(data: bytes, turn: int) -> bytes:
    """The same command in another spelling, possible for anybody who has seen it."""
    envelope = msgspec.json.decode(data, type=envelopes.Envelope)
    stranger = keys.new_unit_key()
    more = sshsig.sign(envelope.command.encode(), stranger, namespaces.COMMAND)
    return [
        data.rstrip(b"\n") + b" " * turn + b"\n",
        b'{"sig": "", ' + data[1:],
        data.replace(b'{"command"', b'{"\\u0063ommand"'),
        msgspec.json.encode(envelopes.Envelope(envelope.command, envelope.sig + more)),
    ][turn % 4]


def test_who_spells_a_command_in_other_ways_makes_the_log_no_longer(unit: House) -> None:
    data = unit.envelope("identify", "desk", {"seconds": "5"})
    assert unit.command(data).done
    before, size = len(unit.leaves("command")), unit.log.size
    codes = {unit.command(respelled(data, turn)).code for turn in range(1, 41)}
    assert codes == {"command_repeated", "command_signer"}
    assert len(unit.leaves("command")) == before + len(codes), "each reason once"
    assert unit.log.size == size + len(codes)


@pytest.mark.parametrize(
    "line",
    [
        f"site_number = 0x{'f' * 6000}", f"site_number{'.a' * 30} = 1", "[storage]\nreserve_mb = nan",
        f"site_number{'.a' * 100_000} = 1", f"x = {{ a{'.\"\u2028\".b' * 20_000} = 1 }}",
        "x = [" + "1," * 400_000 + "]",
        "[[profile]]\nname = 'x'\nno_line_v = nan", "[[profile]]\nname = 'x'\nno_line_v = 1e999",
    ],
    ids=["digits", "deep", "nan", "dots", "quoted dots", "long", "profile nan", "profile inf"],
)  # fmt: skip
def test_one_operators_configuration_ends_no_thread(unit: House, line: str) -> None:
    text = config_file.text(unit.config)
    body = {"document": f"{line}\n{text}", "replaces": config_sha256(unit.config)}
    data = unit.envelope("config", "operator", body)
    with taking_at_most(20):
        answer = unit.command(data)
    assert answer.code == "config_invalid"
    assert "\n" not in answer.text
    assert unit.command(unit.envelope("identify", "desk", {"seconds": "5"})).done


@pytest.mark.parametrize("epoch", ["9999-12-31", "0001-01-01", "2026-W53-7", "overflow-" + "9" * 30])
def test_one_officers_certificate_ends_no_thread(unit: House, epoch: str) -> None:
    document = json.dumps({"epoch": epoch}).encode()
    for _ in range(2):
        answer = unit.command(unit.signed("destroy", "vault", document, namespaces.CERTIFICATE))
        assert "\n" not in answer.text
        unit.restart()
        unit.tick()
    if epoch == "9999-12-31":
        assert answer.code == "certificate_malformed"


@pytest.mark.parametrize("by", [("desk",), ("vault", "second")], ids="-".join)
@pytest.mark.parametrize(
    "utc", ["9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "1969-12-31T00:00:00Z"]
)
def test_a_unit_without_the_time_takes_none_that_it_cannot_write(run_dir: Path, utc: str, by: tuple[str, ...]) -> None:
    unit = Keeper(run_dir, run_dir, at="1970-01-01T00:10:00.000Z")
    unit.synced = False
    unit.take_roles()
    body = {"challenge": unit.upkeep.time.challenge, "utc": utc}
    answer = unit.command(unit.envelope("time", by[0], body, cosigned=by[1:]))
    assert answer.code == "command_malformed"
    unit.restart()
    unit.tick()
    assert unit.now_ns is None
    assert unit.tell_time(by[0], 1_795_000_000 * 10**9, cosigned=by[1:]).done


def test_a_hold_that_ends_in_no_year_is_refused(unit: House) -> None:
    answer = unit.command(unit.hold(unit.call(), 0, until="9999-12-31T23:59:59-23:59"))
    assert answer.code == "hold_malformed"


@pytest.mark.parametrize("until", ["9999-12-31T00:00:00Z", "2600-01-01T00:00:00Z"])
def test_a_hold_for_ever_is_one_after_a_restart_too(unit: House, until: str) -> None:
    record = unit.call()
    assert unit.command(unit.hold(record, 0, until=until)).done
    unit.passes(400)
    unit.restart(boot=True)
    unit.ticks()
    assert unit.is_whole(record)


@pytest.mark.parametrize("error", [OverflowError("x\ny"), RecursionError(), KeyError("a"), ValueError("b")], ids=repr)
def test_what_nobody_has_thought_of_is_an_answer(
    unit: House, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise error

    with monkeypatch.context() as during:
        during.setattr(unit.upkeep.effects.identify, "apply", fails)
        answer = unit.command(unit.envelope("identify", "desk", {"seconds": "5"}))
    assert (answer.done, answer.code) == (False, "command_failed")
    assert "\n" not in answer.text
    with monkeypatch.context() as during:
        during.setattr(unit.upkeep.change, "require_signed", fails)
        assert unit.command(unit.envelope("config", "operator", {})).code == "command_failed"
    assert unit.command(unit.envelope("identify", "desk", {"seconds": "5"})).done


@pytest.mark.parametrize(
    "name", [b"\xff", b"a\xed\xa0\x80", b"a" * 240, b"\n", "\u2028".encode(), b"-", b"..x"], ids=repr
)
def test_whatever_name_the_reporter_gives_a_good_command(unit: House, name: bytes) -> None:
    seconds = {"seconds": "5"}
    unit.give(unit.envelope("identify", "desk", seconds), os.fsdecode(name))
    unit.tick()
    unit.restart()
    unit.tick()
    assert unit.command(unit.envelope("identify", "desk", seconds)).done


@pytest.mark.parametrize(
    ("verb", "role", "body"),
    [
        ("hold", "vault", {"document": "{}", "sig": "", "key_age": "\u0663"}),
        ("key_list", "authority", {"document": "{}", "sig": "\u0663"}),
        ("roles", "authority", {"document": "{}", "sig": "\u0663"}),
        ("destroy", "vault", {"document": "{}", "sig": "\u0663"}),
    ],
)  # fmt: skip
def test_what_is_no_base64_is_said_to_be_none(unit: House, verb: str, role: str, body: dict[str, str]) -> None:
    answer = unit.command(unit.envelope(verb, role, body))
    assert not answer.done
    assert answer.code != "command_failed", answer.text
