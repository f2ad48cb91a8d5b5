# SPDX-License-Identifier: Apache-2.0
"""What a bundle is, read out of the part that is signed, by stock `unsquashfs`."""

from __future__ import annotations

import configparser
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from linetap_core.errors import BadInput
from linetap_core.versions import logged, payload

_LIMIT_S = 60
_LIMIT_BYTES = 64 << 10
_ROOT = re.compile(r"(?:^|\s)linetap\.verity=[0-9]+:([0-9a-f]{64}):")


@dataclass(frozen=True, slots=True)
class Facts:
    """`root`: the root hash on the slot's command line."""

    product: str
    version: str
    payload: str
    root: str


def read(bundle: Path) -> Facts:
    """BadInput unless it is a plain bundle, whose signature covers the whole payload."""
    signed = payload.sha256(bundle)
    manifest = configparser.ConfigParser(interpolation=None, strict=True)
    try:
        manifest.read_string(_file(bundle, "manifest.raucm"))
        product, version = manifest["update"]["compatible"], manifest["update"]["version"]
    except (configparser.Error, KeyError) as error:
        raise BadInput(f"{bundle}: its manifest names no product and version: {' '.join(str(error).split())}") from None
    format_ = manifest.get("bundle", "format", fallback="plain")
    if format_ != "plain":
        raise BadInput(f"{bundle}: format {format_}; plain expected: of others the payload is not all that is signed")
    if product == logged.PRODUCT and _has(bundle, "boot.part"):
        product = logged.SIGNED
    root = _ROOT.search(_file(bundle, "cmdline.txt"))
    if root is None:
        raise BadInput(f"{bundle}: its cmdline.txt names no root hash; `linetap.verity=BLOCKS:ROOT:SALT` expected")
    return Facts(product, version, signed, root[1])


def _has(bundle: Path, name: str) -> bool:
    try:
        _file(bundle, name)
    except BadInput:
        return False
    return True


def _file(bundle: Path, name: str) -> str:
    try:
        with subprocess.Popen(
            ["unsquashfs", "-cat", str(bundle.absolute()), name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as running:  # fmt: skip
            assert running.stdout is not None
            data = running.stdout.read(_LIMIT_BYTES + 1)
            if len(data) > _LIMIT_BYTES:
                running.kill()
                raise BadInput(f"{bundle}: {name} in it has more than {_LIMIT_BYTES} bytes")
            if running.wait(_LIMIT_S):
                raise BadInput(f"{bundle}: unsquashfs reads no {name} in it")
    except FileNotFoundError:
        raise BadInput("unsquashfs is not installed (squashfs-tools); it reads what a bundle is") from None
    return data.decode("utf-8", "replace")
