# SPDX-License-Identifier: Apache-2.0
"""What `linetap checkpoint --config desk.toml` carries: the log of every unit, as the [witnesses] table has it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from linetap_core.errors import BadInput
from linetap_core.evidence import unitlog
from linetap_desk import settings

_MOST_UNITS = 10_000


@dataclass(frozen=True, slots=True)
class Round:
    """What one run carries. `logs`: each with the file of its keeper's key."""

    logs: list[tuple[Path, Path]]
    policy: Path
    signers: Path
    heads: Path
    store: Path | None = None
    ca: Path | None = None


def read(args: argparse.Namespace) -> Round:
    """BadInput for what is missing. A unit whose log or key cannot be used stops no other; its own turn reports it."""
    if args.log or any(getattr(args, name) is not None for name in ("key", "policy", "signers", "output", "store")):
        raise BadInput("--config: alone, or without it DIR, --key, --policy, --signers and -o")
    path: Path = args.config
    config, _ = settings.read(argparse.Namespace(config=path, broker=None))
    told = config.witnesses
    for name in ("policy", "heads", "logs", "keepers"):
        if getattr(told, name) is None:
            raise BadInput(f"{path}: witnesses.{name} is missing")
    if config.signers is None:
        raise BadInput(f"{path}: signers is missing: it names the keepers of the logs")
    ca = args.ca or (None if told.ca is None else Path(told.ca))
    logs = _logs(path, Path(str(told.logs)), Path(str(told.keepers)))
    store = None if config.copy is None else _folder(config.copy.store)
    return Round(logs, Path(str(told.policy)), Path(config.signers), Path(str(told.heads)), store, ca)


def _logs(path: Path, logs: Path, keepers: Path) -> list[tuple[Path, Path]]:
    """LOGS/UNIT, or LOGS/UNIT/log of a whole vault, where a head lies in it."""
    if not logs.is_dir():
        raise BadInput(f"{path}: witnesses.logs {logs}: not a folder")
    found = []
    for folder in sorted(logs.iterdir()):
        log = folder if (folder / unitlog.HEAD).is_file() else folder / unitlog.FOLDER
        if (log / unitlog.HEAD).is_file():
            found.append((log, keepers / f"{folder.name}.key"))
    if not found or len(found) > _MOST_UNITS:
        raise BadInput(f"{path}: witnesses.logs {logs}: {len(found)} logs in it; UNIT/{unitlog.HEAD} would be right")
    return found


def _folder(store: str) -> Path | None:
    parts = urlsplit(store)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
