# SPDX-License-Identifier: Apache-2.0
"""Writes S-expressions for KiCad, with UUIDs derived from names, so that a change in a table gives a small diff."""

from __future__ import annotations

import uuid

NAMESPACE = uuid.UUID("0b6cf9f4-0f5e-5b57-9f0a-6c1f8a1d7e00")
STEP_MM = 2.54
FONT = "(effects (font (size 1.27 1.27)){})"


def identity(*path: str) -> str:
    return str(uuid.uuid5(NAMESPACE, "/".join(path)))


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mm(steps: float) -> str:
    return f"{steps * STEP_MM:.4f}".rstrip("0").rstrip(".") if steps else "0"


def at(x: float, y: float, angle: int = 0) -> str:
    return f"(at {mm(x)} {mm(y)} {angle})"


def uid(*path: str) -> str:
    return f"(uuid {quoted(identity(*path))})"


def wire(x1: int, y1: int, x2: int, y2: int, *path: str) -> str:
    ends = f"(pts (xy {mm(x1)} {mm(y1)}) (xy {mm(x2)} {mm(y2)}))"
    return f"(wire {ends} (stroke (width 0) (type default)) {uid(*path, *map(str, (x1, y1, x2, y2)))})"


def effects(*extra: str) -> str:
    return FONT.format("".join(" " + each for each in extra))


def prop(name: str, value: str, x: float, y: float, *, shown: bool, justify: str = "", angle: int = 0) -> str:
    extra = ([f"(justify {justify})"] if justify else []) + ([] if shown else ["(hide yes)"])
    return f"(property {quoted(name)} {quoted(value)} {at(x, y, angle)} {effects(*extra)})"
