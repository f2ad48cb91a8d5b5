# SPDX-License-Identifier: Apache-2.0
"""The image as it ships, in an emulated machine: its card, its kernel, its systemd. What the tests bring is a second
initramfs behind the image's own, which lies in RAM: nothing of it is in the image.

`start` does what the firmware of a Pi does: it looks on the boot partition which slot to begin. A machine that ends
(power cut, watchdog, reboot) is not started again by itself; `run` sees to that where a test wants it.
"""

from __future__ import annotations

import base64
import compileall
import contextlib
import functools
import json
import os
import py_compile
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from linetap_core.clock import NS_PER_S, SYSTEM

if TYPE_CHECKING:
    from tpm_rig import SoftTpm

PROJECT = Path(__file__).resolve().parents[2]
IMAGE = PROJECT / "build/image/linetap.img"
CARD_MIB = 3072
BOOT_OFFSET = 1 << 20
BOOT_LIMIT_S, COMMAND_S = 240, 120
_HERE = Path(__file__).parent


class Machine:
    """`folder` holds its card, console and sockets. Everything is ended by pid when it is left."""

    def __init__(self, folder: Path, image: Path = IMAGE) -> None:
        self.folder, self.card = folder, folder / "card.img"
        subprocess.run(["cp", "--sparse=always", image, self.card], check=True, timeout=COMMAND_S)
        os.truncate(self.card, CARD_MIB << 20)
        self.console = folder / "console.log"
        self.sockets = Path(tempfile.mkdtemp(prefix="linetap-hil-", dir="/tmp"))  # a socket's path is short
        self.net, self.more = "user,id=net", list[str]()  # of qemu's options, for the next start
        self.tpm: SoftTpm | None = None  # it is reset when the machine is started
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def put(self, name: str, data: bytes) -> None:
        """A file onto the boot partition, as somebody does who has the card in a reader."""
        assert self._process is None, "the card is in the machine"
        self._mtools("mcopy", "-o", "-", f"::{name}", data=data)

    def get(self, name: str) -> bytes | None:
        return self._mtools("mtype", f"::{name}", check=False)

    def names(self) -> set[str]:
        """What lies at the top of the boot partition."""
        return set((self._mtools("mdir", "-b", "::") or b"").decode().replace("::/", "").split())

    def _mtools(self, program: str, *words: str, data: bytes = b"", check: bool = True) -> bytes | None:
        command = [program, "-i", f"{self.card}@@{BOOT_OFFSET}", *words]
        done = subprocess.run(command, input=data, capture_output=True, timeout=COMMAND_S, check=False)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr.decode()}"
        return done.stdout if done.returncode == 0 else None

    def start(self) -> None:
        """Power on. Returns at once."""
        slot = self._slot()
        for name in ("vmlinuz", "initramfs", "cmdline.txt"):
            found = self.get(f"{slot}/{name}")
            assert found is not None, f"slot {slot} has no {name}"
            (self.folder / name).write_bytes(found)
        with (self.folder / "initramfs").open("ab") as file:
            file.write(bytes(-file.tell() % 4))  # where the kernel looks for another archive
            file.write(_overlay())
        with self.console.open("ab") as file:
            file.write(f"\n=== power on, slot {slot}\n".encode())
        told = (self.folder / "cmdline.txt").read_text().strip() + " console=ttyAMA0 panic_print=0 loglevel=5"
        for path in self.sockets.iterdir():
            path.unlink()
        more = [*self.more]
        if self.tpm is not None:
            self.tpm.power_off()
            self.tpm.power_on()
            more += [
                "-chardev",
                f"socket,id=tpm,path={self.tpm.path}",
                "-device",
                "virtserialport,chardev=tpm,name=tpm",
            ]
        command = [
            "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi", "-smp", "2",
            "-m", "1024", "-display", "none", "-nodefaults", "-action", "reboot=shutdown,watchdog=reset",
            "-kernel", str(self.folder / "vmlinuz"), "-initrd", str(self.folder / "initramfs"), "-append", told,
            "-drive", f"file={self.card},if=none,id=card,format=raw,cache=writeback",
            "-device", "virtio-blk-pci,drive=card", "-device", "i6300esb",
            "-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=agent,path={self.sockets}/agent,server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=hil",
            "-chardev", f"socket,id=qmp,path={self.sockets}/qmp,server=on,wait=off", "-mon", "qmp,mode=control",
            "-netdev", self.net, "-device", "virtio-net-pci,netdev=net,romfile=", *more,
        ]  # fmt: skip
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def qmp(self, command: str, **arguments: Any) -> None:
        """What a hand does to a machine: plugs and unplugs."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(COMMAND_S)
            line.connect(f"{self.sockets}/qmp")
            with line.makefile("rwb") as file:
                file.readline()  # its greeting
                for said in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                    file.write(json.dumps(said).encode() + b"\n")
                    file.flush()
                    while b"event" in (answer := file.readline()):
                        pass
                    assert b'"return"' in answer, answer

    def _slot(self) -> str:
        """As the firmware reads it: tryboot.txt where that was asked for, once."""
        name = "config.txt"
        if self.get("tryboot") is not None:
            self._mtools("mdel", "::tryboot")
            name = "tryboot.txt"
        text = (self.get(name) or b"").decode()
        return next(line for line in text.splitlines() if line.startswith("os_prefix=")).split("=")[1].strip("/")

    def boot(self) -> None:
        """Power on, until somebody inside answers and what is to be mounted is."""
        self.start()
        self.wait()
        self.until(lambda: self.read("/run/hil/up") == b"", "it is up")

    def wait(self, limit_s: int = BOOT_LIMIT_S) -> None:
        end_ns = SYSTEM.monotonic_ns() + limit_s * NS_PER_S
        while True:
            assert self._process is not None
            assert self._process.poll() is None, f"the machine ended:\n{self.last_words()}"
            assert SYSTEM.monotonic_ns() < end_ns, f"nobody answers after {limit_s} s:\n{self.last_words()}"
            with contextlib.suppress(OSError, ValueError):
                self._connect()
                if self.ask({"run": ["true"]}, 10)["rc"] == 0:
                    return
            self._hang_up()
            SYSTEM.sleep(0.5)

    def _connect(self) -> None:
        self._hang_up()
        self._agent = socket.socket(socket.AF_UNIX)
        self._agent.connect(f"{self.sockets}/agent")

    def _hang_up(self) -> None:
        if self._agent is not None:
            self._agent.close()
        self._agent = None

    def ask(self, request: dict[str, Any], limit_s: float = COMMAND_S) -> dict[str, Any]:
        """OSError when nobody answers in time; ValueError where it is no answer."""
        if self._agent is None:
            self._connect()
        request["id"] = os.urandom(4).hex()
        self._agent.settimeout(limit_s)
        self._agent.sendall(json.dumps(request).encode() + b"\n")
        data = b""
        while True:
            more = self._agent.recv(1 << 20)
            if not more:
                raise OSError("the machine hung up")
            data += more
            while b"\n" in data:
                line, data = data.split(b"\n", 1)
                answer: dict[str, Any] = json.loads(line)
                if answer.get("id") == request["id"]:
                    return answer

    def run(self, *words: str, check: bool = True, limit_s: float = COMMAND_S) -> str:
        """What a command in the machine says on standard output."""
        answer = self.ask({"run": list(words), "limit_s": limit_s}, limit_s + 20)
        assert not check or answer["rc"] == 0, f"{' '.join(words)}: {answer['out']}{answer['err']}"
        return str(answer["out"]).strip()

    def read(self, path: str) -> bytes:
        answer = self.ask({"read": path})
        assert answer["rc"] == 0, f"{path}: {answer['err']}"
        return base64.b64decode(answer["data"])

    def write(self, path: str, data: bytes) -> None:
        answer = self.ask({"write": path, "data": base64.b64encode(data).decode()})
        assert answer["rc"] == 0, f"{path}: {answer['err']}"

    def until(self, holds: Any, what: str, limit_s: float = COMMAND_S) -> None:
        """Asks again and again; a question that cannot be asked yet is not answered with yes."""
        end_ns = SYSTEM.monotonic_ns() + round(limit_s * NS_PER_S)
        why = ""
        while SYSTEM.monotonic_ns() < end_ns:
            try:
                if holds():
                    return
            except (AssertionError, msgspec.MsgspecError) as error:
                why = f": {error}"
            SYSTEM.sleep(1.0)  # a question costs the machine something
        raise AssertionError(f"not within {limit_s} s: {what}{why}\n{self.last_words(10)}")

    def cut(self) -> None:
        """The power goes."""
        self._hang_up()
        if self._process is not None:
            self._process.kill()
            self._process.wait(COMMAND_S)
        self._process = None

    def ended(self, limit_s: float) -> bool:
        """Whether it ends by itself within that time: it was told to start again, or its watchdog was."""
        assert self._process is not None
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        self._hang_up()
        self._process = None
        return True

    def off(self) -> None:
        """Shut down in good order."""
        with contextlib.suppress(OSError):
            self.ask({"run": ["systemctl", "--no-block", "poweroff"]}, 10)
        assert self.ended(COMMAND_S), f"it does not end:\n{self.last_words()}"

    def last_words(self, lines: int = 40) -> str:
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-lines:])


@functools.cache
def _overlay() -> bytes:
    """What the tests bring, as a second archive of the initramfs: the agent, the exchange, the machine's own parts.
    Python is compiled here: an emulated processor takes seconds for it at every start."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        hil = folder / "hil"
        for name in ("early", "late"):
            (folder / name).mkdir()
            shutil.copy(_HERE / f"inside/{name}.sh", folder / name / "hil.sh")
        shutil.copytree(
            _HERE / "inside", hil, symlinks=True, ignore=shutil.ignore_patterns("early.sh", "late.sh", "__pycache__")
        )
        skip = shutil.ignore_patterns("__pycache__", "*.pyc")
        for package in ("core/linetap_core", "unit/linetap", "desk/linetap_desk", "bench/linetap_bench"):
            place = hil / "python" / Path(package).name
            shutil.copytree(PROJECT / "firmware" / package, place, ignore=skip)
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        assert compileall.compile_dir(hil / "python", quiet=1, invalidation_mode=unchecked)
        listed = _said(["find", ".", "-print0"], folder)
        return _said(["cpio", "--quiet", "--null", "--create", "--format=newc", "--owner=0:0"], folder, listed)


def _said(command: list[str], folder: Path, data: bytes = b"") -> bytes:
    return subprocess.run(command, cwd=folder, input=data, capture_output=True, check=True, timeout=COMMAND_S).stdout
