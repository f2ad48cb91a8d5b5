#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the meter's program from hardware/meter.

`.venv/bin/python hardware/meterbuild.py host build/meter/host` makes the program that tests drive, with this machine's
gcc; `... part build/meter/meter.elf` that of an STM32G0B1RB, with Debian's gcc-arm-none-eabi, and says how much flash,
memory and stack it takes; `... emulated` the tests' program for the part's core, which QEMU runs; `... loader
build/meter/loader.elf --key maker.pub` the part's loader, which takes programs of that key alone. `linetap keygen unit
-o maker.key > maker.pub` makes a key, metersign.py signs; `./build.sh meter` does all of it.
"""

from __future__ import annotations

import argparse
import base64
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from linetap_core.errors import BadInput, LinetapError

METER = Path(__file__).resolve().parent / "meter"
MONOCYPHER = METER.parent.parent / "build" / "monocypher"  # `./build.sh test` fetches it
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wno-sign-conversion", "-Werror")
SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
PART_GCC, PART_SIZE = "arm-none-eabi-gcc", "arm-none-eabi-size"
PART_CORE = ("-mcpu=cortex-m0plus", "-mthumb")
PART_ONLY = ("-O2", "-ffreestanding", "-ffunction-sections", "-fdata-sections", "-fno-common", "-fstack-usage",
             "-fcallgraph-info=su")  # fmt: skip
LINKED = ("-nostdlib", "-Wl,-n", "-Wl,--gc-sections", "-Wl,--fatal-warnings")
BARE = sorted((METER / "bare").glob("*.c"))
EMULATED = [METER / "host" / name for name in ("words.c", "twowire.c")]  # the host's, on the emulated part
PART_SCRIPT = METER / "stm32g0" / "link.ld"
EMULATOR = "qemu-system-arm"
EXCEPTION_BYTES = 32  # what the processor itself puts on the stack for an interrupt (ARMv6-M)
LIBRARY_BYTES = 64  # ours: for each function of libgcc, which says nothing of its stack; its division takes 40
TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes. `stack` is the deepest way from reset, with the interrupt on top of it; nothing here calls itself."""

    flash: int
    memory: int
    stack: int


def sources(machine: str, folder: Path = METER) -> list[Path]:
    """The meter itself and its `machine`: host, stm32g0 or emulated."""
    return sorted([*folder.glob("*.c"), *(folder / machine).glob("*.c")])


PART_SOURCES = [*sources("stm32g0"), *BARE]


def build_host(program: Path, folder: Path = METER) -> Path:
    """With both sanitizers: what C leaves undefined ends the program."""
    run(["gcc", *STRICT, *SANITIZED, "-o", str(program), *map(str, sources("host", folder))])
    return program


def build_usb(program: Path, folder: Path = METER) -> Path:
    """Its endpoint 0 alone, for a test that is the host."""
    files = (*(folder / name for name in ("usbcontrol.c", "usbserial.c")), *sorted((folder / "usbhost").glob("*.c")))
    run(["gcc", *STRICT, *SANITIZED, "-o", str(program), *map(str, files)])
    return program


def build_loader_host(program: Path, key: bytes, folder: Path = METER) -> Path:
    """The loader, for a test that is its host, its flash and its power. `key`: 32 bytes, the maker's public one."""
    curve = program.with_name("monocypher.o")
    run(["gcc", "-O2", "-c", "-o", str(curve), str(_monocypher() / "monocypher.c")])
    files = [*_loader_sources(folder), *sorted((folder / "loaderhost").glob("*.c")), curve]
    run(["gcc", *STRICT, *SANITIZED, *_with_key(key), "-o", str(program), *map(str, files)])
    return program


def build_loader(program: Path, key: bytes) -> Size:
    """The part's. BadInput where the compiler is not there."""
    machine = [METER / "stm32g0" / name for name in ("clock.c", "usb.c")]
    files = [*_loader_sources(METER), *machine, *sorted((METER / "stm32g0" / "loader").glob("*.c")), *BARE]
    files.append(_monocypher() / "monocypher.c")
    script = METER / "stm32g0" / "loader" / "link.ld"
    return _size(program, _linked(program, files, script, ("-Os", *_with_key(key))))


def public_key(line: str) -> bytes:
    """The 32 bytes of an `ssh-ed25519 AAAA...` line."""
    words = line.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, ValueError):
        blob = b""
    head = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
    if not blob.startswith(head) or len(blob) != len(head) + 32:
        raise BadInput("the key has to be a line that begins with ssh-ed25519, as `linetap keygen unit` writes it")
    return blob[len(head) :]


def _loader_sources(folder: Path) -> list[Path]:
    return [*sorted((folder / "loader").glob("*.c")), folder / "usbcontrol.c"]


def _with_key(key: bytes) -> tuple[str, ...]:
    return (f"-I{MONOCYPHER}", "-DLOADER_KEY=" + ",".join(str(byte) for byte in key))


def _monocypher() -> Path:
    if not (MONOCYPHER / "monocypher.c").exists():
        raise BadInput(f"{MONOCYPHER}: Monocypher is not there; ./build.sh meter fetches it")
    return MONOCYPHER


def part_compiler() -> str | None:
    return shutil.which(PART_GCC)


def build_part(program: Path) -> Size:
    """BadInput where the compiler is not there. What does not fit the part is the linker's error."""
    return _size(program, _linked(program, PART_SOURCES, PART_SCRIPT))


def _size(program: Path, graph: str) -> Size:
    text, data, bss = map(int, run([PART_SIZE, str(program)]).splitlines()[1].split()[:3])
    deepest = Stack(graph)
    return Size(text + data, data + bss, deepest.below("reset") + EXCEPTION_BYTES + deepest.below("usb_interrupt"))


def build_emulated(program: Path) -> Path:
    """The host's program for the part's core, as QEMU's microbit runs it: `emulator` is how."""
    _linked(program, [*sources("emulated"), *EMULATED, *BARE], METER / "emulated" / "link.ld")
    return program


def emulator(program: Path) -> list[str]:
    quiet = ["-display", "none", "-serial", "none", "-monitor", "none", "-nodefaults"]
    hosted = ["-semihosting-config", "enable=on,target=native"]
    return [EMULATOR, "-M", "microbit", *quiet, *hosted, "-kernel", str(program)]


def _linked(program: Path, files: Sequence[Path], script: Path, more: Sequence[str] = ()) -> str:
    """The calls of all of it, with what each function takes of the stack."""
    with tempfile.TemporaryDirectory() as scratch:
        objects = [compile_for_part(source, Path(scratch), more) for source in files]
        link_for_part(program, objects, script)
        return "".join(made.with_suffix(".ci").read_text() for made in objects)


def compile_for_part(source: Path, folder: Path, more: Sequence[str] = ()) -> Path:
    """The object in `folder`; the calls of its functions lie beside it. What is not ours has no warnings of ours."""
    if part_compiler() is None:
        raise BadInput(f"{PART_GCC} is not there; Debian has it in gcc-arm-none-eabi")
    made = folder / f"{source.stem}.o"
    warnings = ("-std=c99", "-w") if source.is_relative_to(MONOCYPHER) else STRICT
    run([PART_GCC, *warnings, *PART_CORE, *PART_ONLY, *more, "-c", "-o", str(made), str(source)])
    return made


def link_for_part(program: Path, objects: Sequence[Path], script: Path) -> None:
    run([PART_GCC, *PART_CORE, *LINKED, "-T", str(script), "-o", str(program), *map(str, objects), "-lgcc"])


class Stack:
    """The calls of a program with what each function takes, as gcc's -fcallgraph-info=su writes them."""

    def __init__(self, graph: str) -> None:
        self._bytes: dict[str, int] = {}
        self._calls: dict[str, list[str]] = {}
        for title, label in re.findall(r'node: \{ title: "([^"]+)" label: "([^"]*)"', graph):
            took = re.search(r"(\d+) bytes \((\w+)\)", label)
            if took:
                if took[2] != "static":
                    raise BadInput(f"{title}: its stack is {took[2]}; nobody can say how deep it is")
                self._bytes[title] = int(took[1])
        for caller, called in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', graph):
            if called == "__indirect_call":
                raise BadInput(f"{caller} calls through a pointer; nobody can say how deep its stack is")
            self._calls.setdefault(caller, []).append(called)

    def below(self, function: str, above: Sequence[str] = ()) -> int:
        """Bytes of `function` and the deepest of what it calls. BadInput where it calls itself."""
        if function not in self._bytes:
            return LIBRARY_BYTES
        if function in above:
            raise BadInput(f"{function} calls itself")
        deepest = (self.below(each, [*above, function]) for each in self._calls.get(function, []))
        return self._bytes[function] + max(deepest, default=0)


def run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise BadInput(f"{command[0]} failed: {done.stderr.strip()[:2000]}")
    return done.stdout


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: {error}") from None


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the meter's program.")
    parser.add_argument("what", choices=["host", "emulated", "part", "loader"])
    parser.add_argument("program", type=Path, help="where to write it")
    parser.add_argument("--key", type=Path, metavar="maker.pub", help="of the loader: whose programs it takes")
    args = parser.parse_args()
    args.program.parent.mkdir(parents=True, exist_ok=True)
    try:
        if args.what in ("host", "emulated"):
            (build_host if args.what == "host" else build_emulated)(args.program)
            return 0
        if args.what == "loader" and args.key is None:
            raise BadInput("a loader needs --key")
        loader = args.what == "loader"
        size = build_loader(args.program, public_key(_text(args.key))) if loader else build_part(args.program)
    except LinetapError as error:
        print(f"meterbuild.py: {error}", file=sys.stderr)
        return 2
    room = 24 * 1024 if loader else 0x5000 - 256  # meter/loader/layout.h
    print(f"flash {size.flash} of {room} bytes, memory {size.memory} of 32768, stack {size.stack} at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
