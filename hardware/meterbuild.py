#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the meter's program from hardware/meter.

`.venv/bin/python hardware/meterbuild.py host build/meter/host` builds the program that tests run, with this machine's
gcc. `... wires build/meter/wires` builds the one that runs in real time on the wires of a simulated card. `... part
build/meter/meter.elf` builds that of an STM32G0B1RB, with Debian's gcc-arm-none-eabi, and prints its use of flash,
memory and stack. `... emulated` builds the tests' program for the part's core, run by QEMU. `... loader
build/meter/loader.elf --key maker.pub` builds the part's loader, which accepts only programs signed with that key.
`linetap keygen unit -o maker.key > maker.pub` makes a key, metersign.py signs; `./build.sh meter` does all of it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from linetap_core.errors import BadInput, LinetapError

METER = Path(__file__).resolve().parent / "meter"
MONOCYPHER = METER.parent.parent / "build" / "monocypher"  # fetched by `./build.sh test`
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wno-sign-conversion", "-Werror")
SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
PART_GCC, PART_SIZE = "arm-none-eabi-gcc", "arm-none-eabi-size"
PART_CORE = ("-mcpu=cortex-m0plus", "-mthumb")
PART_ONLY = ("-O2", "-ffreestanding", "-ffunction-sections", "-fdata-sections", "-fno-common", "-fstack-usage",
             "-fcallgraph-info=su")  # fmt: skip
LINKED = ("-nostdlib", "-Wl,-n", "-Wl,--gc-sections", "-Wl,--fatal-warnings")
BARE = sorted((METER / "bare").glob("*.c"))
EMULATED = [METER / "host" / name for name in ("words.c", "twowire.c")]  # the host's files, for the emulated part
PART_SCRIPT = METER / "stm32g0" / "link.ld"
EMULATOR = "qemu-system-arm"
EXCEPTION_BYTES = 32  # stack used by the processor for an interrupt (ARMv6-M)
LIBRARY_BYTES = 64  # assumed for each function of libgcc, which has no stack figures; its division uses 40
TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes in bytes. `stack` is the deepest path from reset plus one interrupt; no function is recursive."""

    flash: int
    memory: int
    stack: int


def sources(machine: str, folder: Path = METER) -> list[Path]:
    """The meter's sources and those of its `machine`: host, onwires, stm32g0 or emulated."""
    return sorted([*folder.glob("*.c"), *(folder / machine).glob("*.c")])


PART_SOURCES = [*sources("stm32g0"), *BARE]


def build_host(program: Path, folder: Path = METER) -> Path:
    """Builds the host program with both sanitizers: undefined behaviour ends the program."""
    return _for_this_machine(program, sources("host", folder), folder)


def build_on_wires(program: Path, folder: Path = METER) -> Path:
    """Builds the program that measures simulated wires in real time, with the same sanitizers."""
    return _for_this_machine(program, [*sources("onwires", folder), folder / "host" / "twowire.c"], folder)


def build_usb(program: Path, folder: Path = METER) -> Path:
    """Builds only endpoint 0 of the USB device, for a test that acts as the host."""
    files = [*(folder / name for name in ("usbcontrol.c", "usbserial.c")), *sorted((folder / "usbhost").glob("*.c"))]
    return _for_this_machine(program, files, folder)


def build_loader_host(program: Path, key: bytes, folder: Path = METER) -> Path:
    """Builds the loader for a test that acts as its host, flash and power. `key`: the maker's public key, 32 bytes."""
    curve = _object(_monocypher() / "monocypher.c", MONOCYPHER, ("-O2",))
    files = [*_loader_sources(folder), *sorted((folder / "loaderhost").glob("*.c"))]
    return _for_this_machine(program, files, folder, _with_key(key), [curve])


def _for_this_machine(
    program: Path, files: Sequence[Path], folder: Path, more: Sequence[str] = (), objects: Sequence[Path] = ()
) -> Path:
    made = [_object(file, folder, (*STRICT, *SANITIZED, *more)) for file in files]
    run(["gcc", *SANITIZED, "-o", str(program), *map(str, [*made, *objects])])
    return program


@cache
def _objects() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="linetap-meter-objects-")


def _object(file: Path, folder: Path, options: Sequence[str]) -> Path:
    """The compiled file, made once a process: tests build many copies of `folder` that differ in one line."""
    said = hashlib.sha256(repr((file.name, options)).encode())
    said.update(file.read_bytes())
    for each in sorted(folder.rglob("*.h")):
        said.update(str(each.relative_to(folder)).encode() + b"\0" + each.read_bytes())
    made = Path(_objects().name) / f"{said.hexdigest()}.o"
    if not made.exists():
        run(["gcc", *options, "-c", "-o", str(made), str(file)])
    return made


def build_loader(program: Path, key: bytes) -> Size:
    """Builds the part's loader. BadInput if the compiler is missing."""
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
    """Builds the part's program. BadInput if the compiler is missing. The linker fails if the program does not fit the
    part.
    """
    return _size(program, _linked(program, PART_SOURCES, PART_SCRIPT))


def _size(program: Path, graph: str) -> Size:
    text, data, bss = map(int, run([PART_SIZE, str(program)]).splitlines()[1].split()[:3])
    deepest = Stack(graph)
    return Size(text + data, data + bss, deepest.below("reset") + EXCEPTION_BYTES + deepest.below("usb_interrupt"))


def build_emulated(program: Path) -> Path:
    """Builds the host program for the part's core, as run on QEMU's microbit by `emulator`."""
    _linked(program, [*sources("emulated"), *EMULATED, *BARE], METER / "emulated" / "link.ld")
    return program


def emulator(program: Path) -> list[str]:
    quiet = ["-display", "none", "-serial", "none", "-monitor", "none", "-nodefaults"]
    hosted = ["-semihosting-config", "enable=on,target=native"]
    return [EMULATOR, "-M", "microbit", *quiet, *hosted, "-kernel", str(program)]


def _linked(program: Path, files: Sequence[Path], script: Path, more: Sequence[str] = ()) -> str:
    """Links the files; returns gcc's call graph, with the stack use of each function."""
    with tempfile.TemporaryDirectory() as scratch:
        objects = [compile_for_part(source, Path(scratch), more) for source in files]
        link_for_part(program, objects, script)
        return "".join(made.with_suffix(".ci").read_text() for made in objects)


def compile_for_part(source: Path, folder: Path, more: Sequence[str] = ()) -> Path:
    """Compiles into `folder`; returns the object. Its call graph is beside it. Third-party sources are compiled without
    our warnings.
    """
    if part_compiler() is None:
        raise BadInput(f"{PART_GCC} is not there; Debian has it in gcc-arm-none-eabi")
    made = folder / f"{source.stem}.o"
    warnings = ("-std=c99", "-w") if source.is_relative_to(MONOCYPHER) else STRICT
    run([PART_GCC, *warnings, *PART_CORE, *PART_ONLY, *more, "-c", "-o", str(made), str(source)])
    return made


def link_for_part(program: Path, objects: Sequence[Path], script: Path) -> None:
    run([PART_GCC, *PART_CORE, *LINKED, "-T", str(script), "-o", str(program), *map(str, objects), "-lgcc"])


class Stack:
    """The call graph of a program with each function's stack use, as written by gcc's -fcallgraph-info=su."""

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
        """Stack bytes of `function` and its deepest callees. BadInput if it is recursive."""
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


HERE = {"host": build_host, "wires": build_on_wires, "emulated": build_emulated}  # run on this machine


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the meter's program.")
    parser.add_argument("what", choices=[*HERE, "part", "loader"])
    parser.add_argument("program", type=Path, help="where to write it")
    parser.add_argument("--key", type=Path, metavar="maker.pub", help="of the loader: whose programs it takes")
    args = parser.parse_args()
    args.program.parent.mkdir(parents=True, exist_ok=True)
    try:
        if args.what in HERE:
            HERE[args.what](args.program)
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
