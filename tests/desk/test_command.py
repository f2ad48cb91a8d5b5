# SPDX-License-Identifier: Apache-2.0
"""Signed commands as files, from the desk's tools to a running recorder, with stock age and ssh-keygen."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker import until
from linetap.config import load_config
from linetap.config.retention import retention_of
from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap_bench.stage.stage import run_command
from linetap_core import cli
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, ManualClock, compact, parse_rfc3339, rfc3339
from linetap_core.durable.signedfile import load_key
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import Command
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import Audio, CallRecord, DeliveryState, RecorderState
from linetap_core.service import START_AGAIN, read_state
from linetap_core.vaultformat import vaultname
from linetap_desk.unitcommands import command
from unit_rig import save_notice, spoken

UNIT = "floor-03"
DAYS = 61
LIMIT_S = 120


def linetap(*words: object, code: int = 0) -> str:
    """The command's output."""
    done = run_command(*words)
    assert done.status == code, (words, done)
    return done.output or done.messages


def stock(script: str, folder: Path) -> bytes:
    return subprocess.run(["sh", "-ec", script], cwd=folder, capture_output=True, timeout=LIMIT_S, check=True).stdout


def test_a_desk_whose_clock_says_2007_signs_nothing(tmp_path: Path) -> None:
    """A computer with a dead battery, or a time server after a week rollover: its times would be signed."""
    stock("ssh-keygen -q -t ed25519 -N '' -C '' -f desk.key", tmp_path)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args([
        "sign", "--verb", "time", "--role", "desk", "--unit", UNIT, "--challenge", "5f0c",
        "--key", str(tmp_path / "desk.key"), "-o", str(tmp_path / "time.command"),
    ])  # fmt: skip
    with pytest.raises(BadInput, match="this machine's clock is at 2007-04-14"):
        command.run(args, ManualClock(utc_ns=parse_rfc3339("2007-04-14T00:00:00Z")))
    assert not (tmp_path / "time.command").exists()


class Office:
    """Everybody's keys in one folder, a unit's configuration and one sealed call in its vault."""

    def __init__(self, root: Path, run_dir: Path) -> None:
        self.root, self.config_file = root, root / "unit.toml"
        self.vault = run_dir / "vault"
        save_notice(root / "notices" / "ko.wav", spoken(1.0))
        for name in ("vault", "desk", "operator"):
            stock(f"ssh-keygen -q -t ed25519 -N '' -C '' -f {name}.key", root)
        linetap("keygen", "authority", "-o", root / "authority.key")
        recipients = {name: linetap("keygen", kind, "-o", root / f"{name}.txt").strip() for name, kind in (
            ("custodian", "custodian"), ("overflow", "epoch"), ("hold", "epoch"))}  # fmt: skip
        self.hold_epoch = recipients["hold"]
        today = rfc3339(SYSTEM.utc_ns())[:10]
        linetap(
            "keygen", "epochs", "--from", today, "--days", DAYS + 1, "--authority", root / "authority.key",
            "--all-on-one-medium", root / "epochs", "-o", root / "keylist.json", "--overflow", 2,
            "--custodian", recipients["custodian"],
        )  # fmt: skip
        authority = keys.public_line(keys.load_unit_key((root / "authority.key").read_bytes()).public_key())
        linetap(
            "config", "init", UNIT, "--lines", 1, "--custodian", recipients["custodian"],
            "--epoch", recipients["overflow"], "--authority", authority, "--key-list", root / "keylist.json",
            "--board", "simulated", "--notices", root / "notices", "--vault", self.vault, "--run-dir", run_dir / "run",
            "-o", self.config_file,
        )  # fmt: skip
        self.call = self.seal_call()

    def seal_call(self) -> CallRecord:
        config, now_ns = load_config(self.config_file), SYSTEM.utc_ns()
        self.vault.mkdir()
        key = keys.load_unit_key(Path(config.key).read_bytes())
        wanted = retention_of(config, now_ns, 1, "recorded", False)
        public = next(each for each in json.loads((self.root / "keylist.json").read_text())["epochs"]
                      if each["day"] == wanted.epoch)["recipient"]  # fmt: skip
        call_id = f"{compact(now_ns)}-L01"
        folder = CallFolder.create(self.vault, OfCall(config.unit, call_id), public, config.keys.custodians)
        folder.write(bytes(1000))
        record = CallRecord(
            call_id=call_id, unit=UNIT, line=1, ended_at=rfc3339(now_ns), retention=wanted, audio=Audio()
        )  # fmt: skip
        return folder.seal(record, lambda data: sshsig.sign(data, key, namespaces.RECORD))

    def sign(self, verb: str, role: str, *words: object) -> Path:
        made = self.root / f"{verb}-{role}.command"
        made.unlink(missing_ok=True)
        key = self.root / f"{role}.key"
        linetap("command", "sign", "--verb", verb, "--role", role, "--unit", UNIT, "--key", key, "-o", made, *words)
        return made

    def apply(self, file: Path, code: int = 0) -> dict[str, Any]:
        said = linetap("command", "apply", file, "--config", self.config_file, "--wait", LIMIT_S / 2, code=code)
        found: dict[str, Any] = json.loads(said)
        return found

    def ack(self, through: int) -> Path:
        """A confirmation as made by `linetap desk ingest`."""
        key = load_key(self.root / "desk.key")
        unit_key = keys.load_unit_key(Path(load_config(self.config_file).key).read_bytes())
        now_ns = SYSTEM.utc_ns()
        vault = json.loads((self.vault / vaultname.FILE).read_bytes())["vault"]
        body = {"origin": keys.fingerprint(unit_key.public_key()), "vault": vault, "through": str(through)}
        made = Command(
            unit=UNIT, verb="ack", role="desk", counter=now_ns // NS_PER_MS,
            expires=rfc3339(now_ns + LIMIT_S * NS_PER_S), body=body,
        )  # fmt: skip
        path = self.root / "ack.command"
        path.write_bytes(envelopes.seal(made, lambda text: sshsig.sign(text, key, namespaces.COMMAND)))
        return path

    def delivery(self) -> DeliveryState:
        """The delivery's state that the reporter reads."""
        state = read_state(load_config(self.config_file).run_path, "recorder", RecorderState)
        assert state is not None
        return state.delivery

    def start_recorder(self) -> None:
        """Starts the recorder and waits until it is there."""
        command = [sys.executable, "-m", "linetap", "recorder", "--config", str(self.config_file)]
        run_dir = self.vault.parent / "run"
        (run_dir / "recorder" / "recorder.json").unlink(missing_ok=True)
        with (self.root / "recorder.log").open("ab") as log:
            self.recorder = subprocess.Popen(command, stderr=log)
        until_ns = SYSTEM.monotonic_ns() + LIMIT_S * NS_PER_S
        while not (
            (run_dir / "recorder" / "answers" / "terminal").is_dir()
            and (run_dir / "recorder" / "recorder.json").exists()
        ):
            assert self.recorder.poll() is None, (self.root / "recorder.log").read_text()
            assert SYSTEM.monotonic_ns() < until_ns
            SYSTEM.sleep(0.02)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(linetap("command", "state", "--config", self.config_file))
        return found


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office with a running recorder."""
    tmp_path = tmp_path_factory.mktemp("office")
    run_dir = Path(tempfile.mkdtemp(prefix="linetap-test-", dir="/dev/shm"))
    office = Office(tmp_path, run_dir)
    try:
        office.start_recorder()
        yield office
    finally:
        office.recorder.terminate()
        office.recorder.wait(LIMIT_S)
        shutil.rmtree(run_dir)


def test_roles_time_and_a_hold_reach_a_running_unit(office: Office) -> None:
    stock("ssh-keygen -q -t ed25519 -N '' -C second -f second.key", office.root)
    people = [
        {"key": (office.root / f"{who}.key.pub").read_text().strip(), "name": f"the {who}", "role": role}
        for who, role in (("vault", "vault"), ("second", "vault"), ("desk", "desk"), ("operator", "operator"))
    ]
    text = json.dumps({"people": people, "purposes": [], "version": 1}, separators=(",", ":"), sort_keys=True)
    (office.root / "roles.json").write_text(text + "\n")
    stock("ssh-keygen -q -Y sign -f authority.key -n linetap-roles roles.json", office.root)
    roles = office.sign("roles", "authority", "--document", office.root / "roles.json")
    assert office.apply(roles)["text"] == "roles version 1, 4 people"
    assert office.apply(roles, code=1)["code"] == "command_repeated"

    challenge = office.state()["challenge"]
    alone = office.sign("time", "vault", "--challenge", challenge)
    assert office.apply(alone, code=1)["code"] == "time_ahead", "this vault has calls, and no memory of time"
    both = office.root / "both.command"
    linetap(
        "command", "cosign", office.sign("time", "vault", "--challenge", challenge), "--key",
        office.root / "second.key", "-o", both,
    )  # fmt: skip
    told = office.apply(both)
    assert told["done"]
    assert told["role"] == "vault"

    call_dir = office.vault / sealed.call_path(office.call.call_id)
    assert office.call.retention
    day = office.root / "epochs" / f"{office.call.retention.epoch}.txt"
    wrapped = office.root / "holds" / office.call.call_id
    linetap(
        "hold", "wrap", call_dir, "--identity", day, "--to", office.hold_epoch, "--case", "2026-117",
        "--basis", "Civil Procedure Act 344", "--until", "2099-01-01", "--key", office.root / "vault.key",
        "-o", wrapped,
    )  # fmt: skip
    assert office.apply(office.sign("hold", "vault", "--document", wrapped / "hold.json"))["done"]

    held = office.vault / "holds" / office.call.call_id
    inner = stock(f"age -d -i {day} {call_dir}/key.age", office.root)
    assert stock(f"age -d -i hold.txt {held}/key.age", office.root) == inner
    vault_key = (office.root / "vault.key.pub").read_text()
    (office.root / "officers").write_text(f"officer {vault_key}")
    stock(
        f"ssh-keygen -Y verify -f officers -I officer -n linetap-hold -s {held}/hold.json.sig < {held}/hold.json",
        office.root,
    )

    assert office.apply(office.ack(2))["text"] == "everything up to 2 is confirmed", "the vault's name, and `held`"
    assert until(lambda: (found := office.delivery()).desk and found.confirmed == 2)

    destroy = office.root / "certificate.json"
    destroy.write_text(json.dumps({"epoch": office.call.retention.epoch}))
    stock("ssh-keygen -q -Y sign -f vault.key -n linetap-certificate certificate.json", office.root)
    assert office.apply(office.sign("destroy", "vault", "--document", destroy), code=1)["code"] == "epoch_not_over"


def test_a_configuration_comes_into_effect_by_itself(office: Office) -> None:
    """With the roles of the test above: signed, accepted, applied; the recorder restarts with it."""
    before = office.state()["config_sha256"]
    new = office.root / "new.toml"
    new.write_text(office.config_file.read_text().replace("recommended_call_s = 1200", "recommended_call_s = 900"))
    words = ("--document", new, "--replaces", before)
    told = office.apply(office.sign("config", "operator", *words))
    assert "recording.recommended_call_s: 1200 -> 900" in told["text"]
    assert office.recorder.wait(LIMIT_S) == START_AGAIN
    assert office.config_file.read_bytes() == new.read_bytes()
    assert "recommended_call_s = 1200" in office.config_file.with_name("unit.toml.previous").read_text()
    office.start_recorder()
    until(lambda: office.state()["config_sha256"] == told["config_sha256"] != before)
    leaves = [json.loads(line) for line in (office.vault / "log" / LEAVES).read_bytes().splitlines()]
    told_of = [leaf for leaf in leaves if leaf["kind"] == "config" and "changes" in leaf]
    assert told_of[0]["changes"] == ["recording.recommended_call_s: 1200 -> 900"]

    new.write_text(new.read_text().replace("vault = ", "vault = 1 #").replace("[smdr]", "[smdr]\nlisten = 1"))
    words = ("--document", new, "--replaces", told["config_sha256"])
    refused = office.apply(office.sign("config", "operator", *words), code=1)
    assert refused["code"] == "config_invalid"
    assert "vault = 1" in refused["text"]
    assert "unknown key smdr.listen" in refused["text"]


def test_what_weakens_takes_two_and_a_third_to_confirm_it(office: Office) -> None:
    """Reviewed, cosigned by stock tools, executed by a running recorder, shown by `linetap check`, and confirmed."""
    stock("ssh-keygen -q -t ed25519 -N '' -C '' -f privacy.key", office.root)
    people = [
        {"key": (office.root / f"{role}.key.pub").read_text().strip(), "name": f"the {role}", "role": role}
        for role in ("vault", "desk", "operator", "privacy")
    ]
    text = json.dumps({"people": people, "purposes": [], "version": 2}, separators=(",", ":"), sort_keys=True)
    (office.root / "roles2.json").write_text(text + "\n")
    stock("ssh-keygen -q -Y sign -f authority.key -n linetap-roles roles2.json", office.root)
    assert office.apply(office.sign("roles", "authority", "--document", office.root / "roles2.json"))["done"]
    (of_roles,) = until(lambda: office.state()["weakenings"])  # the answer comes before the next state file
    assert (of_roles["by"], of_roles["codes"]) == ("authority", ["roles"])
    assert office.apply(office.sign("confirm", "vault", "--weakening", of_roles["id"]))["done"]

    before, new = office.state()["config_sha256"], office.root / "weaker.toml"
    new.write_text(office.config_file.read_text().replace("days = 60", "days = 1"))
    alone = office.sign("config", "operator", "--document", new, "--replaces", before)
    stock("jq -j '.command | fromjson | .body.document' config-operator.command > wanted.toml", office.root)
    said = linetap("config", "compare", office.config_file, office.root / "wanted.toml", code=1)
    assert "weakens [retention_shorter] line 1 recorded: 60 -> 1 days" in said
    assert linetap("config", "compare", office.config_file, office.config_file) == "the same\n"
    refused = office.apply(alone, code=1)
    assert refused["code"] == "config_weakens"
    assert "retention_shorter" in refused["text"]

    stock(
        "jq -j .command config-operator.command | ssh-keygen -Y sign -n linetap-command -f vault.key >more 2>/dev/null;"
        " jq -c --rawfile more more '.sig += $more' config-operator.command > both.command",
        office.root,
    )
    told = office.apply(office.root / "both.command")
    assert told["done"], told
    assert office.recorder.wait(LIMIT_S) == START_AGAIN
    office.start_recorder()
    assert until(lambda: office.state()["config_sha256"] == told["config_sha256"])
    (stands,) = until(lambda: office.state()["weakenings"])
    assert (stands["codes"], stands["in_effect"], stands["by"]) == (["retention_shorter"], True, "command")
    checked = linetap("check", "--config", office.config_file, "--json", code=1)
    assert stands["id"] in checked
    words = ("confirm", "vault", "--weakening", stands["id"])
    assert office.apply(office.sign(*words), code=1)["code"] == "weakening_signer"
    assert office.apply(office.sign("confirm", "privacy", "--weakening", stands["id"]))["done"]
    assert until(lambda: not office.state()["weakenings"])
    leaves = [json.loads(line) for line in (office.vault / "log" / LEAVES).read_bytes().splitlines()]
    steps = [leaf["step"] for leaf in leaves if leaf["kind"] == "weakening" and leaf["id"] == stands["id"]]
    assert steps == ["asked", "in_effect", "confirmed"]


def test_what_does_not_fit_is_said_before_a_unit_has_to(office: Office) -> None:
    base = ["command", "sign", "--unit", UNIT, "--key", office.root / "desk.key", "-o", office.root / "x.command"]
    assert "--role desk" in linetap(*base, "--verb", "hold", "--role", "desk", code=2)
    assert "--challenge" in linetap(*base, "--verb", "time", "--role", "desk", code=2)
    assert "--document" in linetap(*base, "--verb", "roles", "--role", "authority", code=2)
    missing = linetap("command", "apply", office.root / "none", "--config", office.config_file, code=2)
    assert "No such file" in missing
    (office.root / "junk").write_text("junk")
    assert office.apply(office.root / "junk", code=1)["code"] == "command_malformed"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("identify --role desk", "--seconds is missing"),
        ("identify --role desk --seconds 5 --utc 2026-11-24T00:00:00Z", "--utc does not belong here"),
        ("self_test --role desk --seconds 5", "--seconds does not belong here"),
        ("config --role operator --document unit.toml", "--replaces is missing"),
        ("config --role desk --document unit.toml --replaces 0", "config is for operator"),
        ("update --role operator", "--bundle is missing"),
        ("update --role operator --bundle update.raucb", "linetap-0.2.0.raucb expected"),
        ("update --role operator --bundle linetap-0.2.raucb", "linetap-0.2.0.raucb expected"),
        ("update --role operator --bundle linetap-0.2.0.raucb --url http://x/y", "expected"),
        ("update --role operator --bundle linetap-0.2.0.raucb", "No such file"),
        ("update --role desk --bundle linetap-0.2.0.raucb", "update is for operator"),
    ],
)
def test_each_verb_takes_its_own(words: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "any.key"
    key.write_bytes(keys.unit_key_file(keys.new_unit_key()))
    more = ["--unit", UNIT, "--key", str(key), "-o", str(tmp_path / "x.command")]
    assert cli.main(["command", "sign", *more, "--verb", *words.split()]) == 2
    assert named in capsys.readouterr().err


def test_of_an_update_size_and_hash_are_signed(tmp_path: Path) -> None:
    key, bundle, made = (tmp_path / name for name in ("any.key", "linetap-0.2.0.raucb", "update.command"))
    key.write_bytes(keys.unit_key_file(keys.new_unit_key()))
    bundle.write_bytes(b"a bundle")
    words = [
        "--unit",
        UNIT,
        "--key",
        str(key),
        "-o",
        str(made),
        "--bundle",
        str(bundle),
        "--url",
        "https://x.example/y",
    ]
    assert cli.main(["command", "sign", "--verb", "update", "--role", "operator", *words]) == 0
    command = json.loads(json.loads(made.read_text())["command"])
    assert command["body"] == {
        "version": "0.2.0", "sha256": hashlib.sha256(b"a bundle").hexdigest(), "size": "8",
        "url": "https://x.example/y",
    }  # fmt: skip


def test_a_command_is_cosigned_by_us_and_by_stock_tools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("desk", "second"):
        stock(f"ssh-keygen -q -t ed25519 -N '' -C '' -f {name}.key", tmp_path)
    one, both = tmp_path / "one.command", tmp_path / "both.command"
    words = ["command", "sign", "--unit", UNIT, "--role", "desk", "--verb", "self_test", "-o", str(one)]
    assert cli.main([*words, "--key", str(tmp_path / "desk.key")]) == 0
    cosign = ["command", "cosign", str(one), "-o", str(both), "--key"]
    assert cli.main([*cosign, str(tmp_path / "desk.key")]) == 2, "nobody signs twice"
    assert "one.command" in capsys.readouterr().err
    assert not both.exists()
    assert cli.main([*cosign, str(tmp_path / "second.key")]) == 0
    assert f"self_test by desk to {UNIT}" in capsys.readouterr().err
    stock(
        "jq -j .command one.command | ssh-keygen -Y sign -n linetap-command -f second.key > second.sig 2>/dev/null;"
        " jq -c --rawfile more second.sig '.sig += $more' one.command > by_stock.command",
        tmp_path,
    )
    assert json.loads((tmp_path / "by_stock.command").read_bytes()) == json.loads(both.read_bytes())
    stock("jq -j .sig both.command | awk '/^-----BEGIN/ { n++ } { print > (\"sig.\" n) }'", tmp_path)
    check = "jq -j .command both.command | ssh-keygen -Y check-novalidate -n linetap-command -s sig."
    for number in (1, 2):
        assert b"Good" in stock(f"{check}{number}", tmp_path)


def test_without_a_recorder_nothing_waits_for_ever(office: Office, run_dir: Path) -> None:
    elsewhere = office.root / "elsewhere.toml"
    elsewhere.write_text(office.config_file.read_text().replace(str(office.vault.parent / "run"), str(run_dir)))
    (run_dir / "recorder" / "answers" / "terminal").mkdir(parents=True)
    (office.root / "one").write_text("one")
    words = ("command", "apply", office.root / "one", "--config", elsewhere, "--wait", 0.2)
    assert "no answer" in linetap(*words, code=1)
    assert not list((run_dir / "terminal" / "commands").iterdir()), "withdrawn: nothing is done behind somebody's back"
    assert "does not run" in linetap("command", "state", "--config", elsewhere, code=1)
