# SPDX-License-Identifier: Apache-2.0
"""`linetap command send` over a real broker, to a real reporter with the recorder's real half of commands."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker import Broker, Desk, until
from kept_rig import Kept
from linetap_core import cli
from linetap_core.clock import NS_PER_S, SYSTEM, parse_rfc3339

LIMIT_S = 120


Send = Callable[..., tuple[int, str]]


@pytest.fixture
def send(capsys: pytest.CaptureFixture[str]) -> Send:
    """Runs the command; returns exit status and output."""

    def called(file: Path, *words: object) -> tuple[int, str]:
        status = cli.main(["command", "send", *map(str, (file, *words))])
        told = capsys.readouterr()
        return status, told.out or told.err

    return called


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def floor(tmp_path: Path, run_dir: Path, broker: Broker) -> Iterator[Kept]:
    with Kept(tmp_path, run_dir, broker.port) as floor:
        floor.reporter()
        floor.reached(lambda state: state.connected)
        yield floor


def test_signed_sent_done_and_printed(send: Send, floor: Kept, broker: Broker, tmp_path: Path) -> None:
    made, at = tmp_path / "one.command", ("--broker", f"mqtt://127.0.0.1:{broker.port}")
    words = ("sign", "--verb", "self_test", "--role", "desk", "--unit", floor.config.unit, "--key", floor.desk_key)
    assert cli.main(["command", *map(str, (*words, "-o", made))]) == 0
    status, said = send(made, *at)
    answer = json.loads(said)
    assert (status, answer["done"], answer["verb"]) == (0, True, "self_test")
    assert isinstance(answer["findings"], list)

    status, said = send(made, *at)
    assert (status, json.loads(said)["code"]) == (1, "command_repeated")

    settings = tmp_path / "desk.toml"
    settings.write_text(f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n')
    made.write_bytes(floor.envelope("identify", {"seconds": "5"}))
    assert send(made, "--config", settings)[0] == 0


def test_of_several_each_is_sent_although_one_is_refused(
    floor: Kept, broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away, there = tmp_path / "a.command", tmp_path / "b.command"
    away.write_bytes(floor.envelope("identify", {"seconds": "5"}, unit="floor-09"))
    there.write_bytes(floor.envelope("identify", {"seconds": "5"}))
    words = ("--wait", "5", "--broker", f"mqtt://127.0.0.1:{broker.port}")
    assert cli.main(["command", "send", str(away), str(there), *words]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["done"] is True
    assert told.err.startswith(f"{away}: ")


def test_an_answer_to_somebody_else_is_none_of_ours(broker: Broker, tmp_path: Path, floor: Kept) -> None:
    """The wait for an absent unit is limited."""
    made = tmp_path / "one.command"
    made.write_bytes(floor.envelope("identify", {"seconds": "5"}, unit="floor-09"))
    with Desk(broker.port) as other:
        command = [sys.executable, "-m", "linetap", "command", "send", str(made), "--wait", "3"]
        command += ["--broker", f"mqtt://127.0.0.1:{broker.port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sender:
            until(lambda: other.of("floor-09/cmd/identify"))
            (heard,) = other.of("floor-09/cmd/identify")
            ends_ns = parse_rfc3339(json.loads(json.loads(heard.payload)["command"])["expires"])
            left_s = (ends_ns - SYSTEM.utc_ns()) // NS_PER_S
            assert 0 <= heard.properties["MessageExpiryInterval"] - left_s <= LIMIT_S, "as long as the command"
            other.publish("linetap/v1/floor-09/reply/identify", b'{"done":true}', correlation=b"another")
            _, said = sender.communicate(timeout=LIMIT_S)
    assert sender.returncode == 1
    assert "no answer in 3 s: the broker has the command" in said


def test_what_is_no_command_goes_nowhere(send: Send, tmp_path: Path) -> None:
    made, nobody = tmp_path / "one.command", ("--broker", "mqtt://127.0.0.1:1")
    for data in (b"junk", b"[" * 100_000, b'{"command":"{}","sig":""}', b"\xff"):
        made.write_bytes(data)
        assert send(made, *nobody)[0] == 2
    inner = json.dumps({"unit": "+/#", "verb": "ack", "role": "desk", "counter": 1, "expires": ""})
    made.write_text(json.dumps({"command": inner, "sig": ""}))
    status, said = send(made, *nobody)
    assert (status, "no unit" in said) == (2, True)
    made.write_text(json.dumps({"command": inner.replace("+/#", "floor-03"), "sig": ""}))
    status, said = send(made, *nobody)
    assert (status, "127.0.0.1:1: " in said) == (1, True)
