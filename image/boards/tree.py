# SPDX-License-Identifier: Apache-2.0
"""Parses a flattened device tree into nodes, after the Devicetree Specification 0.4, chapter 5.

Names follow the specification: a property is bytes, a phandle is the number of a node, a disabled node is no device.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MAGIC, BEGIN, END, PROPERTY, NOTHING, OVER = 0xD00DFEED, 1, 2, 3, 4, 9
DEPTH = 64


class TreeError(ValueError):
    """The file is no device tree, or an overlay cannot be applied to it."""


@dataclass(eq=False, slots=True)
class Node:
    name: str
    parent: Node | None
    properties: dict[str, bytes] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    @property
    def path(self) -> str:
        if self.parent is None:
            return "/"
        return f"{self.parent.path.rstrip('/')}/{self.name}"

    @property
    def kind(self) -> str:
        """The generic name of the specification, 2.2.2: `mmc` of `mmc@7e340000`."""
        return self.name.partition("@")[0]

    @property
    def compatible(self) -> list[str]:
        return self.texts("compatible")

    def texts(self, name: str) -> list[str]:
        return [text.decode() for text in self.properties.get(name, b"").split(b"\0") if text]

    def cells(self, name: str) -> list[int]:
        value = self.properties.get(name, b"")
        return [cell for (cell,) in struct.iter_unpack(">I", value[: len(value) // 4 * 4])]

    def cell(self, name: str, otherwise: int = 0) -> int:
        return next(iter(self.cells(name)), otherwise)

    def lineage(self) -> Iterator[Node]:
        """The node, its parent, and so on to the root."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def is_available(self) -> bool:
        """Whether the node is enabled, as __of_device_is_available() in drivers/of/base.c: an empty status is not."""
        status = (node.properties.get("status", b"okay\0") for node in self.lineage())
        return all(value.partition(b"\0")[0] in (b"ok", b"okay") for value in status)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()


class Tree:
    def __init__(self, root: Node) -> None:
        self.root = root
        self.by_phandle = {node.cell("phandle"): node for node in root.walk() if node.cell("phandle")}
        self.by_path = {node.path: node for node in root.walk()}

    def devices(self) -> Iterator[Node]:
        return (node for node in self.root.walk() if node.compatible and node.is_available())

    def labelled(self, label: str) -> Node | None:
        symbols = self.by_path.get("/__symbols__")
        return self.by_path.get("".join(symbols.texts(label))) if symbols else None


def read_tree(blob: bytes) -> Tree:
    """Parses a tree. Raises TreeError."""
    try:
        magic, _, structure, strings = struct.unpack_from(">IIII", blob)
        if magic != MAGIC:
            raise TreeError("not a device tree: its first word is another")
        return Tree(_read_nodes(blob, structure, strings))
    except (struct.error, ValueError, IndexError) as error:
        raise TreeError(f"not a whole device tree: {error}") from error


def _read_nodes(blob: bytes, at: int, strings: int) -> Node:
    stack: list[Node] = []
    while True:
        (token,) = struct.unpack_from(">I", blob, at)
        at += 4
        if token == BEGIN:
            name = _text(blob, at)
            node = Node(name, stack[-1] if stack else None)
            if stack:
                stack[-1].children.append(node)
            stack.append(node)
            if len(stack) > DEPTH:
                raise TreeError(f"deeper than {DEPTH} nodes")
            at += len(name.encode()) + 1
        elif token == PROPERTY:
            length, name_at = struct.unpack_from(">II", blob, at)
            stack[-1].properties[_text(blob, strings + name_at)] = blob[at + 8 : at + 8 + length]
            at += 8 + length
        elif token == END:
            node = stack.pop()
            if not stack:
                return node
        elif token != NOTHING:
            raise TreeError(f"there is no token {token}")
        at = (at + 3) & ~3


def _text(blob: bytes, at: int) -> str:
    return blob[at : blob.index(b"\0", at)].decode()


def with_overlays(base: Path, overlays: list[Path]) -> Tree:
    """The tree as passed to the kernel: libfdt's `fdtoverlay` applies the compiled overlays. Raises TreeError."""
    if not overlays:
        return read_tree(base.read_bytes())
    command = ["fdtoverlay", "-i", str(base), "-o", "/dev/stdout", *map(str, overlays)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode:
        names = " ".join(overlay.name for overlay in overlays)
        raise TreeError(f"{names} does not apply to {base.name}: {done.stderr.decode().strip()}")
    return read_tree(done.stdout)
