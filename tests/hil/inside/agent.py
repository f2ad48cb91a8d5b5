# SPDX-License-Identifier: Apache-2.0
"""Answers each line of JSON with a line of JSON, over a port of the emulated machine; one at a time."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import tty
from pathlib import Path
from typing import Any

IS_PI = b"Raspberry Pi" in Path("/proc/device-tree/model").read_bytes()
SERIAL = Path("/dev/ttyUSB0")  # inside the machine


def port() -> Path:
    if IS_PI:
        subprocess.run(["modprobe", "ftdi_sio"], check=False)
    for _ in range(600):
        if IS_PI and SERIAL.exists():
            return SERIAL
        for name in Path("/sys/class/virtio-ports").glob("*/name"):
            if name.read_text().strip() == "hil":
                return Path("/dev") / name.parent.name
        time.sleep(0.1)
    sys.exit("there is no port hil")


def carried_out(request: dict[str, Any]) -> dict[str, Any]:
    if "write" in request:
        return written(Path(request["write"]), base64.b64decode(request["data"]))
    if "watch" in request:
        return watched([Path(path) for path in request["watch"]], request["for_s"])
    if "read" in request:
        return read(Path(request["read"]))
    if "rest" in request:
        time.sleep(request["rest"])
        return {"rc": 0}
    try:
        limit_s = request.get("limit_s", 60)
        done = subprocess.run(
            request["run"], capture_output=True, timeout=limit_s, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired as error:
        return {"rc": 124, "out": (error.stdout or b"").decode(errors="replace"), "err": "timed out"}
    except OSError as error:
        return {"rc": 127, "out": "", "err": str(error)}
    said = {"out": done.stdout.decode(errors="replace"), "err": done.stderr.decode(errors="replace")}
    return {"rc": done.returncode, **said}


def written(path: Path, data: bytes) -> dict[str, Any]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        return {"rc": 1, "err": str(error)}
    return {"rc": 0}


def read(path: Path) -> dict[str, Any]:
    """Reads files without starting a process, which costs an emulated processor a third of a second during calls."""
    try:
        return {"rc": 0, "data": base64.b64encode(path.read_bytes()).decode()}
    except OSError as error:
        return {"rc": 1, "err": str(error)}


def watched(paths: list[Path], for_s: float) -> dict[str, Any]:
    """The content of each file at every change: (seconds from now, text)."""
    began, changes = time.monotonic(), [list[tuple[float, str]]() for _ in paths]
    while (at := time.monotonic() - began) < for_s:
        for path, found in zip(paths, changes, strict=True):
            try:
                text = path.read_text().strip()
            except OSError as error:
                return {"rc": 1, "err": str(error)}
            if not found or found[-1][1] != text:
                found.append((round(at, 3), text))
        time.sleep(0.04)
    return {"rc": 0, "changes": changes}


def answer(asked: bytes) -> bytes:
    try:
        request = json.loads(asked)
    except ValueError:
        return b""
    done = carried_out(request)
    return json.dumps({"id": request.get("id"), "now_s": time.monotonic(), **done}).encode() + b"\n"


with port().open("r+b", buffering=0) as line:
    if line.isatty():
        tty.setraw(line.fileno())
    data = b""
    while True:
        more = line.read(65536)
        if not more:
            time.sleep(0.1)  # no peer is connected
            continue
        data += more
        while b"\n" in data:
            asked, data = data.split(b"\n", 1)
            reply = answer(asked)
            while reply:
                reply = reply[line.write(reply) :]
