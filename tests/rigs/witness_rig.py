# SPDX-License-Identifier: Apache-2.0
"""Witnesses, each a separate process on the loopback: Debian's sigsum-witness, aics-witness of PyPI, and ours."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linetap_bench.stage.servers import free_port
from linetap_core.evidence.keys import keys
from linetap_core.evidence.witness import checkpoint, note

START_S = 120.0
# Debian builds sigsum-go with the request router of Go 1.21, which ignores methods: it would answer 404 to all.
GO = {"GODEBUG": "httpmuxgo121=0"}
TIMEOUT_S = 120


@dataclass(frozen=True)
class Running:
    """`key`: hexadecimal, as in a policy. `public` is the 32 bytes."""

    name: str
    public: bytes
    url: str

    def line(self, url: str | None = None) -> str:
        return f"witness {self.name} {self.public.hex()} {self.url if url is None else url}\n"


def write_key(path: Path, key: Ed25519PrivateKey) -> Path:
    """KEY and KEY.pub in OpenSSH's formats."""
    path.write_bytes(keys.unit_key_file(key))
    path.chmod(0o600)
    path.with_name(path.name + ".pub").write_text(keys.public_line(key.public_key()) + "\n")
    return path


def _stock(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def _process(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """Runs a witness until the end; waits first until it answers on the port."""
    log = folder / "witness.log"
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, env=os.environ | GO)
    try:
        end = time.monotonic() + START_S
        while True:
            assert running.poll() is None, log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        yield
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(TIMEOUT_S)


@contextlib.contextmanager
def sigsum(folder: Path, log: Ed25519PublicKey) -> Iterator[Running]:
    """sigsum-witness of Debian's sigsum-go: one log, by its key."""
    folder.mkdir()
    key = keys.new_unit_key()
    write_key(folder / "witness.key", key)
    (folder / "log.pub").write_text(keys.public_line(log) + "\n")
    port = free_port()
    command = ["sigsum-witness", "-k", "witness.key", "--log-key", "log.pub", "--state-file", "state"]
    with _process([*command, f"127.0.0.1:{port}"], port, folder):
        yield Running("sigsum", key.public_key().public_bytes_raw(), f"http://127.0.0.1:{port}/")


@contextlib.contextmanager
def ours(folder: Path, log: Ed25519PublicKey, keeper_of: str = "closet-3f") -> Iterator[Running]:
    """`linetap witness --listen`, the third kind of witness."""
    folder.mkdir()
    key = keys.new_unit_key()
    write_key(folder / "witness.key", key)
    (folder / "signers").write_text(f'{keeper_of} namespaces="linetap-checkpoint" {keys.public_line(log)}\n')
    port = free_port()
    command = [sys.executable, "-m", "linetap", "witness", "--listen", f"127.0.0.1:{port}", "--name", "ours.example"]
    command += ["--key", "witness.key", "--state", "seen.json", "--signers", "signers"]
    with _process(command, port, folder):
        yield Running("ours", key.public_key().public_bytes_raw(), f"http://127.0.0.1:{port}/")


@contextlib.contextmanager
def aics(folder: Path, log: Ed25519PublicKey) -> Iterator[Running]:
    """aics-witness of PyPI, by its own command."""
    folder.mkdir()
    port = free_port()
    program, config = Path(sys.executable).with_name("aics-witness"), folder / "witness.json"
    own = _stock(program, "init", "-c", config, "--name", "aics.example/w1", "--listen", f"127.0.0.1:{port}").strip()
    vkey = checkpoint.log_key(log)
    _stock(program, "add-log", "-c", config, "--origin", vkey.name, "--vkey", vkey.vkey())
    with _process([str(program), "serve", "-c", str(config)], port, folder):
        yield Running("aics", note.parse_vkey(own).public, f"http://127.0.0.1:{port}/")


@contextlib.contextmanager
def all_three(folder: Path, log: Ed25519PublicKey, keeper_of: str = "closet-3f") -> Iterator[list[Running]]:
    """One of each kind, with the log's key and without cosignatures."""
    folder.mkdir()
    with sigsum(folder / "a", log) as a, ours(folder / "b", log, keeper_of) as b, aics(folder / "c", log) as c:
        yield [a, b, c]


def policy(path: Path, witnesses: list[Running], at_least: int, head: str = "") -> Path:
    names = " ".join(each.name for each in witnesses)
    lines = "".join(each.line() for each in witnesses)
    path.write_text(f"{head}{lines}group together {at_least} {names}\nquorum together\n")
    return path


def name_keeper(signers_file: Path, unit: str, key: Ed25519PublicKey) -> None:
    with signers_file.open("a") as file:
        file.write(f'{unit} namespaces="linetap-checkpoint" {keys.public_line(key)} keeper of its log\n')
