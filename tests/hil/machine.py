# SPDX-License-Identifier: Apache-2.0
"""The shipped image in an emulated machine: its card, its kernel, its systemd. The tests' own files are a second
initramfs in RAM after the image's: the image does not contain them.

`start` imitates a Pi's firmware: it reads on the boot partition which slot to start. A machine that ends (power cut,
watchdog, reboot) is not restarted automatically.

A `counted` machine has one processor, which executes one instruction in a nanosecond of its own time, however busy this
machine is; when it is idle, its time jumps to the next timer (decision 0142). Any other machine has two processors,
which run in real time as fast as they can. Limits and waits are seconds of the machine's own time.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from linetap_core.clock import NS_PER_S, SYSTEM
from overlay import overlay

if TYPE_CHECKING:
    from tpm_rig import SoftTpm

PROJECT = Path(__file__).resolve().parents[2]
IMAGE = PROJECT / "build/image/linetap.img"
BOOT_OFFSET = 1 << 20
BOOT_LIMIT_S, COMMAND_S = 240, 120
REAL_TIME = ("-accel", "tcg,thread=multi", "-smp", "2")
COUNTED = ("-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1")
# Real seconds for a second of a machine in the very worst case: counted, and in real time beside other work.
PATIENCE, REAL_PATIENCE = 20, 4
_KERNEL = ("vmlinuz", "initramfs", "told")


@dataclass(frozen=True)
class Kept:
    """A paused machine: memory, card and start parameters."""

    folder: Path


@dataclass(frozen=True)
class Begun:
    """The firmware's choice: the kernel, its initramfs and its command line. `how` is for the console."""

    how: str
    kernel: bytes
    initramfs: bytes
    words: str


class Machine:
    """`folder` contains its card, console and sockets. All its processes are ended by pid at the end of the block.

    `kept`: the state from which `resume` continues, instead of a card in factory state.
    """

    card_mib = 3072
    steady = "nohz=off"  # a counted processor that waits for its card otherwise has 250 timer ticks a second
    # Mitigations of speculative execution only slow down a processor without speculation. Isolated page tables flush
    # its translations at every system call, a third of a start's work (decision 0142); the loops at each entry of the
    # kernel are a tenth.
    board_words = "console=ttyAMA0 loglevel=5 kpti=off mitigations=off"

    def __init__(self, folder: Path, image: Path = IMAGE, *, counted: bool = False, kept: Kept | None = None) -> None:
        self.folder, self.card, self.kept = folder, folder / "card.img", kept
        self.counted = counted
        copy_card(image if kept is None else kept.folder / "card.img", self.card)
        os.truncate(self.card, self.card_mib << 20)
        self.console = folder / "console.log"
        self.sockets = Path(tempfile.mkdtemp(prefix="linetap-hil-", dir="/tmp"))  # the path of a socket must be short
        # A cut ends QEMU, not this machine: flushing is unnecessary.
        self.drive = ["-drive", f"file={self.card},if=none,id=card,format=raw,cache=unsafe"]
        self.net, self.more = "user,id=net", list[str]()  # qemu's options for the next start
        self.words = ""  # additions to the kernel's command line
        self.tpm: SoftTpm | None = None  # reset when the machine is started
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: Any = None
        self._by_itself = False  # the kind of its end, which a Pi's firmware reports to the next start
        self.now_s = 0.0  # the machine's own time since its kernel began, at its last answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def put(self, name: str, data: bytes) -> None:
        """Writes a file onto the boot partition, as with the card in a reader."""
        assert self._process is None, "the card is in the machine"
        self._mtools("mcopy", "-o", "-", f"::{name}", data=data)

    def get(self, name: str) -> bytes | None:
        return self._mtools("mtype", f"::{name}", check=False)

    def names(self) -> set[str]:
        """The names at the top of the boot partition."""
        return set((self._mtools("mdir", "-b", "::") or b"").decode().replace("::/", "").split())

    def _mtools(self, program: str, *words: str, data: bytes = b"", check: bool = True) -> bytes | None:
        command = [program, "-i", f"{self.card}@@{BOOT_OFFSET}", *words]
        done = subprocess.run(command, input=data, capture_output=True, timeout=COMMAND_S, check=False)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr.decode()}"
        return done.stdout if done.returncode == 0 else None

    def start(self) -> None:
        """Switches on; returns at once."""
        begun = self._firmware()
        (self.folder / "vmlinuz").write_bytes(begun.kernel)
        (self.folder / "initramfs").write_bytes(begun.initramfs)
        with (self.folder / "initramfs").open("ab") as file:
            file.write(bytes(-file.tell() % 4))  # the kernel looks for another archive at a multiple of 4
            file.write(self._brought())
        words = begun.words + (f" {self.steady}" if self.counted else "")
        words += "" if self._by_itself else " linetap.reset=power"
        (self.folder / "told").write_text(f"{words} {self.words} {self.board_words} panic_print=0")
        self._begin(f"power on, {begun.how}")

    def resume(self) -> None:
        """Continues from the kept state."""
        assert self.kept is not None
        for name in _KERNEL:
            shutil.copy(self.kept.folder / name, self.folder / name)
        self._begin("goes on", "-incoming", f"file:{self.kept.folder}/memory")
        self._until_qmp("query-status", "the memory is read", "paused")
        self.qmp("cont")
        self.wait()

    def keep(self, folder: Path) -> Kept:
        """Stores the machine's present state; it continues afterwards."""
        folder.mkdir(parents=True)
        with self.still():
            self.qmp("migrate", uri=f"file:{folder}/memory")
            self._until_qmp("query-migrate", "the memory is written", "completed")
            copy_card(self.card, folder / "card.img")
            for name in _KERNEL:
                shutil.copy(self.folder / name, folder / name)
        return Kept(folder)

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Pauses the machine during work on this one: a counted machine uses a whole processor, even while it waits."""
        self.qmp("stop")
        try:
            yield
        finally:
            self.qmp("cont")

    def _begin(self, how: str, *incoming: str) -> None:
        with self.console.open("ab") as file:
            file.write(f"\n=== {how}\n".encode())
        self.now_s = 0.0
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
            "qemu-system-aarch64", *self._board(), "-display", "none", "-nodefaults",
            "-kernel", str(self.folder / "vmlinuz"), "-initrd", str(self.folder / "initramfs"),
            "-append", (self.folder / "told").read_text(),
            "-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console",
            "-chardev", f"socket,id=agent,path={self.sockets}/agent,server=on,wait=off",
            "-chardev", f"socket,id=qmp,path={self.sockets}/qmp,server=on,wait=off", "-mon", "qmp,mode=control",
            *more, *incoming,
        ]  # fmt: skip
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _brought(self) -> bytes:
        """The tests' own files, as archives of an initramfs."""
        return overlay()

    def _board(self) -> list[str]:
        """The machine's own parts: board, card, watchdog, network, the port of the tests' agent."""
        return [
            "-M", "virt", "-cpu", "cortex-a72", *(COUNTED if self.counted else REAL_TIME), "-m", "1024",
            "-action", "reboot=shutdown,watchdog=reset",
            *self.drive, "-device", "virtio-blk-pci,drive=card", "-device", "i6300esb", "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=agent,name=hil",
            "-netdev", self.net, "-device", "virtio-net-pci,netdev=net,romfile=",
        ]  # fmt: skip

    def _until_qmp(self, command: str, what: str, status: str) -> None:
        """Waits until the answer has this status."""
        end_ns = SYSTEM.monotonic_ns() + COMMAND_S * NS_PER_S
        while (found := self.qmp(command).get("status")) != status:
            assert found != "failed", what
            assert SYSTEM.monotonic_ns() < end_ns, f"{what}: {found}"
            SYSTEM.sleep(0.05)

    def qmp(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Sends a QMP command, such as plugging and unplugging. Returns its answer."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(COMMAND_S)
            self._reach(line, "qmp")
            with line.makefile("rwb") as file:
                file.readline()  # its greeting
                for said in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                    file.write(json.dumps(said).encode() + b"\n")
                    file.flush()
                    while b"event" in (answer := file.readline()):
                        pass
                    assert b'"return"' in answer, answer
                found: dict[str, Any] = json.loads(answer)["return"]
                return found

    def _reach(self, line: socket.socket, name: str) -> None:
        """Connects to one of QEMU's sockets, which appear soon after its start."""
        end_ns = SYSTEM.monotonic_ns() + COMMAND_S * NS_PER_S
        while True:
            try:
                line.connect(f"{self.sockets}/{name}")
                return
            except OSError:
                assert self._process is not None
                assert self._process.poll() is None, (self.folder / "qemu.log").read_text()
                if SYSTEM.monotonic_ns() > end_ns:
                    raise
                SYSTEM.sleep(0.05)

    def _firmware(self) -> Begun:
        """The choice of a Pi's firmware: the slot of config.txt, or once that of tryboot.txt, if requested."""
        slot = self._slot()
        found = {name: self.get(f"{slot}/{name}") for name in ("vmlinuz", "initramfs", "cmdline.txt")}
        files = {name: data for name, data in found.items() if data is not None}
        assert files.keys() == found.keys(), f"slot {slot} has not {found.keys() - files.keys()}"
        return Begun(f"slot {slot}", files["vmlinuz"], files["initramfs"], files["cmdline.txt"].decode().strip())

    def _slot(self) -> str:
        name = "config.txt"
        if self.get("tryboot") is not None:
            self._mtools("mdel", "::tryboot")
            name = "tryboot.txt"
        text = (self.get(name) or b"").decode()
        return next(line for line in text.splitlines() if line.startswith("os_prefix=")).split("=")[1].strip("/")

    @property
    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def boot(self) -> None:
        """Switches on, and waits until the agent answers and the file systems are mounted."""
        self.start()
        self.wait()
        self.until(lambda: self.read("/run/hil/up") == b"", "it is up")

    def wait(self, limit_s: int = BOOT_LIMIT_S) -> None:
        end_ns, answer_s = SYSTEM.monotonic_ns() + self._here(limit_s) * NS_PER_S, 1
        while True:
            assert self._process is not None
            assert self._process.poll() is None, f"the machine ended:\n{self.log_tail()}"
            assert SYSTEM.monotonic_ns() < end_ns, f"nobody answers after {limit_s} s:\n{self.log_tail()}"
            with contextlib.suppress(OSError, ValueError):
                self._connect()
                if self.ask({"run": ["true"]}, answer_s)["rc"] == 0:
                    return
            answer_s = min(2 * answer_s, 10)  # a request sent before the agent listens gets no answer
            self._hang_up()
            SYSTEM.sleep(0.5)

    def _here(self, seconds: float) -> int:
        """The longest real duration of this much of the machine's own time."""
        return round(seconds) * (PATIENCE if self.counted else REAL_PATIENCE)

    def _connect(self) -> None:
        self._hang_up()
        self._agent = socket.socket(socket.AF_UNIX)
        self._agent.connect(f"{self.sockets}/agent")

    def _hang_up(self) -> None:
        if self._agent is not None:
            self._agent.close()
        self._agent = None

    def ask(self, request: dict[str, Any], limit_s: float = COMMAND_S) -> dict[str, Any]:
        """The agent's answer. OSError if it does not answer in time; ValueError if the answer is invalid."""
        if self._agent is None:
            self._connect()
        request["id"] = os.urandom(4).hex()
        self._agent.settimeout(self._here(limit_s))
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
                    self.now_s = answer["now_s"]
                    return answer

    def run(self, *words: str, check: bool = True, limit_s: float = COMMAND_S) -> str:
        """The standard output of a command in the machine."""
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

    def until(self, holds: Any, what: str, limit_s: float = COMMAND_S, every_s: float = 1.0) -> None:
        """Polls until the condition holds; a poll that fails counts as no."""
        self.rest(0)
        end_s, why = self.now_s + limit_s * (1 if self.counted else REAL_PATIENCE), ""
        while True:
            try:
                if holds():
                    return
            except (AssertionError, msgspec.MsgspecError) as error:
                why = f": {error}"
            if self.now_s >= end_s:
                raise AssertionError(f"not within {limit_s} s: {what}{why}\n{self.log_tail(10)}")
            self.rest(every_s)  # a request costs the machine processor time

    def rest(self, seconds: float) -> None:
        """Waits in the machine's own time."""
        assert self.ask({"rest": seconds}, seconds + COMMAND_S)["rc"] == 0

    def cut(self) -> None:
        """Cuts the power."""
        self._hang_up()
        if self._process is not None:
            self._process.kill()
            self._process.wait(COMMAND_S)
        self._process = None
        self._by_itself = False

    def ended(self, limit_s: float) -> bool:
        """Whether it ends by itself within that time, by a reboot or its watchdog."""
        assert self._process is not None
        try:
            self._process.wait(self._here(limit_s))
        except subprocess.TimeoutExpired:
            return False
        self._hang_up()
        self._process = None
        self._by_itself = True
        return True

    def off(self) -> None:
        """Shuts it down in good order."""
        with contextlib.suppress(OSError):
            self.ask({"run": ["systemctl", "--no-block", "poweroff"]}, 10)
        assert self.ended(COMMAND_S), f"it does not end:\n{self.log_tail()}"
        self._by_itself = False

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-lines:])


def partition(card: Path, name: str) -> tuple[int, int]:
    """The partition's offset on the card and its length, in bytes; the machine is off."""
    command = ["sfdisk", "--json", str(card)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=COMMAND_S).stdout)
    (one,) = (each for each in found["partitiontable"]["partitions"] if each["name"] == name)
    return one["start"] * 512, one["size"] * 512


def copy_card(source: Path, into: Path) -> None:
    subprocess.run(["cp", "--sparse=always", source, into], check=True, timeout=COMMAND_S)
