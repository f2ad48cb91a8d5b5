# SPDX-License-Identifier: Apache-2.0
"""Reads the facts of an update bundle from its signed part, with stock `unsquashfs`."""

from __future__ import annotations

import configparser
import os
import re
import resource
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from linetap_core import absent
from linetap_core.errors import BadInput
from linetap_core.evidence import digest
from linetap_core.versions import entry, payload

_LIMIT_S = 60
_LIMIT_BYTES = 64 << 10
_BOOT_BYTES = 128 << 20  # image/layout.sh, BOOTPART_MIB: the largest boot.part
_MANIFEST, _CMDLINE, _BOOT = _WANTED = ("manifest.raucm", "cmdline.txt", "boot.part")
_ROOT = re.compile(rf"(?:^|\s)linetap\.verity=[0-9]+:({digest.HEX}):")


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """The facts. `root`: the root hash on the slot's command line."""

    product: str
    version: str
    payload: str
    root: str


def read(bundle: Path) -> BundleFacts:
    """The facts. BadInput unless it is a plain bundle, whose signature covers the whole payload."""
    signed = payload.sha256(bundle)
    with tempfile.TemporaryDirectory(prefix="linetap-bundle-") as folder:
        content = Path(folder) / "content"
        _extracted(bundle, content)
        texts = {name: _text(bundle, content / name) for name in (_MANIFEST, _CMDLINE)}
        is_for_signed = os.path.lexists(content / _BOOT)
    manifest = configparser.ConfigParser(interpolation=None, strict=True)
    try:
        manifest.read_string(texts[_MANIFEST])
        product, version = manifest["update"]["compatible"], manifest["update"]["version"]
    except (configparser.Error, KeyError) as error:
        raise BadInput(f"{bundle}: its manifest names no product and version: {' '.join(str(error).split())}") from None
    format_ = manifest.get("bundle", "format", fallback="plain")
    if format_ != "plain":
        raise BadInput(f"{bundle}: format {format_}; plain expected: of others the payload is not all that is signed")
    if product == entry.PRODUCT and is_for_signed:
        product = entry.SIGNED
    root = _ROOT.search(texts[_CMDLINE])
    if root is None:
        raise BadInput(f"{bundle}: its cmdline.txt names no root hash; `linetap.verity=BLOCKS:ROOT:SALT` expected")
    return BundleFacts(product, version, signed, root[1])


def _extracted(bundle: Path, into: Path) -> None:
    """Extracts the files of `_WANTED` in one call: unsquashfs leaves out missing ones."""
    quietly = ("-quiet", "-no-progress", "-no-xattrs", "-no-wildcards")
    try:
        done = subprocess.run(
            ["unsquashfs", *quietly, "-d", into, bundle.absolute(), *_WANTED],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_LIMIT_S,
            check=False, preexec_fn=_limit_files,
        )  # fmt: skip
    except FileNotFoundError:
        raise BadInput(f"{absent.not_installed('unsquashfs')}; it reads the bundle's facts") from None
    except subprocess.TimeoutExpired:
        raise BadInput(f"{bundle}: unsquashfs does not end with it") from None
    if done.returncode == -signal.SIGXFSZ:
        raise BadInput(f"{bundle}: a file in it has more than {_BOOT_BYTES} bytes")
    if done.returncode:
        raise BadInput(f"{bundle}: unsquashfs cannot read it")


def _limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_BOOT_BYTES, _BOOT_BYTES))


def _text(bundle: Path, path: Path) -> str:
    """The content of a file. Links are refused: a link in a bundle could lead to any file here."""
    if path.is_symlink() or not path.is_file():
        raise BadInput(f"{bundle}: unsquashfs reads no {path.name} in it")
    with path.open("rb") as file:
        data = file.read(_LIMIT_BYTES + 1)
    if len(data) > _LIMIT_BYTES:
        raise BadInput(f"{bundle}: {path.name} in it has more than {_LIMIT_BYTES} bytes")
    return data.decode("utf-8", "replace")
