# SPDX-License-Identifier: Apache-2.0
"""The command: its imports, its exit status, and its error messages."""

from __future__ import annotations

import argparse
import os
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from linetap.commission import init as initcommand
from linetap.config import load_config
from linetap_core import cli
from linetap_core.evidence.keys import keys
from linetap_core.wire.situations import SITUATIONS, WARNING

LIMIT_S = 120
ROOT = Path(__file__).parents[2]
CUSTODIAN, EPOCH = keys.new_identity().recipient, keys.new_identity().recipient
LINETAP = [sys.executable, "-m", "linetap"]


def run(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LINETAP, *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        cwd=cwd,
        check=False,
        env={**os.environ, **env},
    )


def init(folder: Path, *more: str) -> int:
    output = str(folder / "unit.toml")
    return cli.main(
        ["config", "init", "tower-3", "--lines", "8", "--custodian", CUSTODIAN, "--epoch", EPOCH, "-o", output, *more]
    )


# --- help and usage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cli.commands())
def test_every_sub_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*name.split(), "--help"])
    assert ended.value.code == 0
    assert f"example: linetap {name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        "notice import",
        "notice list",
        "notice export",
        "config init",
        "config check",
        "keygen epochs",
        "epoch destroy",
        "epoch overdue",
        "hold wrap",
        "overflow rewrap",
        "pki init",
        "pki request",
        "pki unit",
        "pki renew",
        "pki revoke",
        "pki broker",
        "pki desk",
        "pki rabbitmq",
        "pki list",
    ],
)
def test_verbs_have_one_too(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*words.split(), "--help"])
    assert f"example: linetap {words}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["no-such"], ["recorder"], ["config"], ["config", "init"], ["keygen", "x"]])
def test_usage_is_two_and_no_traceback(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("linetap")


def test_version() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stdout.split()[0]) == (0, "linetap")


def test_a_command_makes_no_parser_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are fifty, and each looks up translations of its texts on the disk."""
    made: list[str] = []
    begin = argparse.ArgumentParser.__init__

    def counted(parser: argparse.ArgumentParser, *words: Any, **options: Any) -> None:
        begin(parser, *words, **options)
        made.append(parser.prog)

    monkeypatch.setattr(argparse.ArgumentParser, "__init__", counted)
    assert cli.main(["panel", "--config", "/none.toml"]) == 2
    assert cli.main(["command", "state", "--config", "/none.toml"]) == 2
    assert made == ["linetap panel", "linetap command state"]


@pytest.mark.parametrize("words", [["--", "capture", "--config", "x"], ["-x", "capture"], ["-x", "command", "state"]])
def test_a_commands_name_comes_first(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("linetap: error: ")


def _imported(*arguments: str) -> set[str]:
    """The top-level packages loaded when the command has ended."""
    code = (
        "import sys, linetap_core.cli as c\ntry: c.main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print('\\n', *sys.modules)"
    )
    command = [sys.executable, "-c", code, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    return {name.partition(".")[0] for name in ended.stdout.splitlines()[-1].split()}


def test_help_loads_no_library() -> None:
    assert not {"numpy", "msgspec", "cryptography", "scipy"} & _imported("--help")


@pytest.mark.parametrize(
    ("name", "never"),
    [
        ("recorder", {"paho", "alsaaudio", "ssl"}),
        ("capture", {"paho", "cryptography", "ssl", "subprocess", "urllib"}),
        ("reporter", {"numpy", "alsaaudio", "subprocess"}),
        ("panel", {"numpy", "paho", "alsaaudio", "cryptography", "ssl", "subprocess", "urllib"}),
    ],
)
def test_a_service_loads_no_tool_and_no_other_service(name: str, never: set[str]) -> None:
    """Imports are nearly all of its start time."""
    never |= {"scipy", "rich", "pyrage", "http", "email", "asyncio", "sqlite3", "multiprocessing"}
    code = f"import sys, linetap.config, linetap.{name}.service\nprint(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert not never & {word.partition(".")[0] for word in ended.stdout.split()}


# --- how it ends ---------------------------------------------------------------------------------------------


def test_bad_input_is_one_line_and_two(tmp_path: Path) -> None:
    for name in ("capture", "recorder", "reporter", "panel"):
        ended = run(name, "--config", "none.toml", cwd=tmp_path)
        assert (ended.returncode, ended.stderr) == (2, "none.toml: No such file or directory\n")


def test_a_card_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path, "--board", "simulated") == 0
    capsys.readouterr()
    assert cli.main(["capture", "--card", "3", "--config", str(tmp_path / "unit.toml")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'unit.toml'}: there is no card 3; --card names one that is there\n"


def _with_command(monkeypatch: pytest.MonkeyPatch, folder: Path, body: str, service: bool = False) -> None:
    """Adds a sub-command `probe` with this body, to test its end."""
    (folder / "linetap_probe.py").write_text(f"def add_arguments(parser):\n    pass\n\ndef run(*_):\n    {body}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "linetap_probe", raising=False)
    monkeypatch.setitem(cli.commands(), "probe", cli.Command("linetap_probe", "", "", service=service))


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("return 0", 0, ""),
        ("return 1", 1, ""),
        ("from linetap_core.errors import Refusal; raise Refusal('no')", 1, "no\n"),
        ("from linetap_core.errors import BadInput; raise BadInput('a\\nb')", 2, "a\nb\n"),
        ("open('/no/such/file')", 2, "/no/such/file: No such file or directory\n"),
        ("raise KeyboardInterrupt", 130, ""),
        ("import nowhere_to_be_found", 2, "linetap probe: a fault in linetap itself: ModuleNotFoundError: "),
        (
            "raise ModuleNotFoundError('x', name='scipy.signal')",
            2,
            "this needs scipy: pip install ./firmware/core ./firmware/desk ./firmware/unit ./firmware/bench brings",
        ),
        (
            "raise ValueError('odd')",
            2,
            "linetap probe: a fault in linetap itself: ValueError: odd; LINETAP_TRACEBACK=1",
        ),
    ],
)
def test_exit_status(
    body: str,
    status: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("LINETAP_TRACEBACK", raising=False)
    _with_command(monkeypatch, tmp_path, body)
    assert cli.main(["probe"]) == status
    err = capsys.readouterr().err
    assert err.startswith(says)
    assert bool(err) == bool(says)


def test_a_traceback_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_command(monkeypatch, tmp_path, "raise ValueError('odd')")
    monkeypatch.setenv("LINETAP_TRACEBACK", "1")
    with pytest.raises(ValueError, match="odd"):
        cli.main(["probe"])


def test_a_service_leaves_a_traceback_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["probe"]
    _with_command(monkeypatch, tmp_path, "open('/no/such/file')", service=True)
    with pytest.raises(FileNotFoundError):
        cli.main(arguments)
    body = "from linetap_core.errors import DeviceFault as F; raise F('x', 'no codec')"
    _with_command(monkeypatch, tmp_path, body, True)
    assert (cli.main(arguments), capsys.readouterr().err) == (2, "no codec\n")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'rich'", name="rich")

    assert "bench" in cli.commands()
    monkeypatch.setattr(cli, "import_module", missing)
    assert cli.main(["bench", "--help"]) == 2
    said = "this needs rich: pip install ./firmware/core ./firmware/desk ./firmware/unit ./firmware/bench brings it"
    assert capsys.readouterr().err == f"{said}, in linetap's repository\n"


def test_a_card_is_made_where_only_debians_package_has_the_pins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/provisioning.md on a machine with linetap-unit: its table of pins is in /etc/linetap."""
    clone, installed = initcommand._PINS
    assert installed == Path("/etc/linetap/pins.toml")
    assert "-t $(UNIT)/etc/linetap pins.toml" in (ROOT / "firmware/debian/rules").read_text()
    packages = tmp_path / "pins.toml"
    packages.write_bytes(clone.read_bytes())
    monkeypatch.setattr(initcommand, "_PINS", (tmp_path / "no-clone/pins.toml", packages))
    (made := tmp_path / "card").mkdir()
    assert init(made, "--image", "--broker", "mqtt.city.example") == 0, capsys.readouterr().err
    assert (made / "pins.toml").read_bytes() == packages.read_bytes()


def test_nobody_reads_on(tmp_path: Path) -> None:
    """As in `linetap ... | head`: no error message."""
    assert init(tmp_path, "--board", "simulated", "--notices", "none") == 0
    reading, writing = os.pipe()
    os.close(reading)
    command = [*LINETAP, "config", "check", str(tmp_path / "unit.toml")]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=LIMIT_S, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (cli.BROKEN_PIPE, b"")


def test_a_terminal_without_korean(tmp_path: Path) -> None:
    ended = run("notice", "list", "--folder", "없음", cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


def test_ctrl_c(tmp_path: Path) -> None:
    """A tool that waits for its input ends at once, without a message."""
    fifo = tmp_path / "hall.wav"
    os.mkfifo(fifo)
    command = [*LINETAP, "notice", "import", str(fifo), "--text", "x"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=tmp_path)
    try:
        with fifo.open("wb"):  # opens when the tool has opened its end: it now waits for data
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
        process.wait(LIMIT_S)
    assert (process.returncode, err) == (cli.INTERRUPTED, b"")


# --- config init and check -----------------------------------------------------------------------------------


def test_config_init_works_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "allowed_signers",
        "unit.key",
        "unit.key.pub",
        "unit.toml",
    ]
    capsys.readouterr()
    assert cli.main(["config", "check", str(tmp_path / "unit.toml")]) == 0
    assert capsys.readouterr().out.startswith("ok: unit tower-3, 8 lines, sha256 ")
    config = load_config(tmp_path / "unit.toml")
    assert (config.keys.custodians, config.keys.overflow_epoch) == ([CUSTODIAN], EPOCH)
    assert {line.caller_id for line in config.line} == {"auto"}
    assert stat.S_IMODE((tmp_path / "unit.key").stat().st_mode) == 0o600


def test_config_init_has_the_situations_whose_notices_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A site's own folder may have none or some of them: the missing ones are comments."""
    notices = tmp_path / "n"
    notices.mkdir()
    shipped = [each.notice for each in SITUATIONS]
    for name in ["ko", *shipped[:2], WARNING]:
        (notices / f"{name}.wav").touch()
    assert init(tmp_path, "--notices", str(notices)) == 0
    config = load_config(tmp_path / "unit.toml")
    assert [(one.name, one.code, one.notice) for one in config.situation] == [each[:3] for each in SITUATIONS[:2]]
    assert (config.ending.warn_s, config.ending.end_s) == (0, 0)
    for name in shipped:
        (notices / f"{name}.wav").touch()
    assert init(tmp_path, "--notices", str(notices), "--force") == 0
    text = (tmp_path / "unit.toml").read_text()
    on = text.replace("\nwarn_s = 0", "\nwarn_s = 900").replace("\nend_s = 0", "\nend_s = 1200")
    (tmp_path / "unit.toml").write_text(on)
    capsys.readouterr()
    assert cli.main(["config", "check", str(tmp_path / "unit.toml")]) == 0
    assert "lines 1, 2, 3, 4, 5, 6, 7, 8: card 1 has no contacts: staff hang up" in capsys.readouterr().err
    assert [each.name for each in load_config(tmp_path / "unit.toml").situation] == [each.name for each in SITUATIONS]


def test_options_for_a_simulated_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    second = keys.new_identity().recipient
    options = [
        "--board",
        "simulated",
        "--vault",
        "v",
        "--run-dir",
        "/dev/shm/x",
        "--notices",
        "n",
        "--broker-port",
        "1999",
    ]
    assert init(tmp_path, *options, "--custodian", second) == 0
    config = load_config(tmp_path / "unit.toml")
    assert (config.board.kind, config.broker.port, config.run_dir) == ("simulated", 1999, "/dev/shm/x")
    assert (config.vault, config.notices) == (str(tmp_path / "v"), str(tmp_path / "n"))
    assert config.keys.custodians == [CUSTODIAN, second]
    assert (config.card[0].rate_hz, config.card[0].capture_pcm) == (8000, "unit_capture")


def test_ssh_keygen_takes_key_and_signers(tmp_path: Path) -> None:
    assert init(tmp_path) == 0
    (tmp_path / "data").write_text("what was said")

    def ssh_keygen(*words: str) -> subprocess.CompletedProcess[bytes]:
        with (tmp_path / "data").open("rb") as data:
            command = ["ssh-keygen", *words]
            return subprocess.run(command, stdin=data, capture_output=True, cwd=tmp_path, timeout=LIMIT_S, check=False)

    assert ssh_keygen("-y", "-f", "unit.key").stdout.split()[:2] == (tmp_path / "unit.key.pub").read_bytes().split()[:2]
    for namespace, wanted in (("linetap-record", 0), ("linetap-event", 0), ("linetap-command", 255)):
        assert ssh_keygen("-Y", "sign", "-q", "-f", "unit.key", "-n", namespace, "data").returncode == 0
        verify = ["-Y", "verify", "-f", "allowed_signers", "-I", "tower-3", "-n", namespace, "-s", "data.sig"]
        assert ssh_keygen(*verify).returncode == wanted
        (tmp_path / "data.sig").unlink()


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path) == 0
    key = (tmp_path / "unit.key").read_bytes()
    public = (tmp_path / "unit.key.pub").read_text()
    assert init(tmp_path) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'unit.toml'}: exists")
    (tmp_path / "unit.toml").unlink()
    assert init(tmp_path) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'unit.key'}: exists")
    assert not (tmp_path / "unit.toml").exists()
    assert init(tmp_path, "--force") == 0
    assert (tmp_path / "unit.key").read_bytes() == key
    assert (tmp_path / "unit.key.pub").read_text() == public


def test_what_would_not_work_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notices").mkdir()
    assert init(tmp_path, "--notices", str(tmp_path / "notices")) == 2
    assert "no notice 'ko' in " in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notices"]
    (tmp_path / "unit.key").write_text("a key of somebody's")
    assert init(tmp_path, "--force") == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'unit.key'}: not an OpenSSH private key")
    assert (tmp_path / "unit.key").read_text() == "a key of somebody's"


def test_every_argument_that_is_wrong_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "none" / "unit.toml")
    words = ["config", "init", "Tower", "--lines", "33", "--custodian", "age1x", "--epoch", "ssh", "-o", output]
    assert cli.main(words) == 2
    told = capsys.readouterr().err.splitlines()
    starts = ["UNIT_ID 'Tower'", "--lines 33", "--custodian: ", "--epoch: ", f"-o {output}: there is no folder"]
    assert [line.startswith(start) for line, start in zip(told, starts, strict=True)] == [True] * 5
    assert list(tmp_path.iterdir()) == []


def test_one_person_may_not_hold_both_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path, "--custodian", EPOCH) == 2
    assert "must take two people" in capsys.readouterr().err


@pytest.mark.parametrize("name", ['a "quoted" \\ name', "한글", "tab\there", "del\x7f"])
def test_any_folder_name_stands_in_the_file(tmp_path: Path, name: str) -> None:
    assert init(tmp_path, "--vault", str(tmp_path / name)) == 0
    assert tomllib.loads((tmp_path / "unit.toml").read_text())["vault"] == str(tmp_path / name)


def test_config_check_tells_every_error_with_its_line(tmp_path: Path) -> None:
    assert init(tmp_path) == 0
    path = tmp_path / "unit.toml"
    text = path.read_text().replace("channels = 8", "channels = 7").replace("reserve_mb", "reserve")
    path.write_text(text)
    ended = run("config", "check", str(path))
    lines = text.splitlines()
    places = [lines.index("reserve = 256") + 1, lines.index("channel = 8") + 1]
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert [line.split(": ")[0] for line in ended.stderr.splitlines()] == [f"{path}:{place}" for place in places]
