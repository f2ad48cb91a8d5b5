# SPDX-License-Identifier: Apache-2.0
"""A unit is taken out of service: its key ends, and it is new again.

Two things that only somebody in the closet has: a file on the card with the unit's name in it, and the button, held
while the unit starts. The old key signs that it ends and is destroyed, the vault is put aside as it is, and the next
order makes a new key. Nothing is written into the vault: what lies in it is another user's, and this runs as root.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

import msgspec

from linetap.board import open_panel
from linetap.clock import NS_PER_S, Clock, compact, parse_rfc3339, rfc3339
from linetap.commission.init import NAMESPACES
from linetap.config import Config
from linetap.desk import wipe
from linetap.durable.replace import replace_durably
from linetap.errors import BadInput, LinetapError
from linetap.evidence import unitlog
from linetap.provision import admit
from linetap.provision.order import UNIT
from linetap.provision.outcome import OrderFault
from linetap.recorder.unitkey import UnitKey

NAMESPACE = "linetap-retired"
ASKED = "linetap-decommission.txt"  # on the card: the unit's name
FOLDER = "retired"  # in /etc/linetap
HOLD_S, LOOK_EVERY_S = 5, 0.1
_ENDS = ("unit.key.pub", "tls.key", "tls.pem", admit.TAKEN, UNIT)  # the configuration last: until then it is done again


class Retired(msgspec.Struct, kw_only=True):
    """What the old key signs. `head_*`: of the unit's log, as it was when it ended."""

    unit: str
    key: str  # the line of the public key
    at: str
    head_size: int | None = None
    head_root: str | None = None


def retire(boot: Path, home: Path, clock: Clock) -> tuple[str, str]:
    """What was done, for a person, and the SHA-256 of the statement. OrderFault: nothing was."""
    try:
        config = admit.commissioned(home)
        said = admit.read_card(boot / ASKED).decode("utf-8", "replace").strip()
    except BadInput as error:
        raise OrderFault("retire_config", str(error)) from None
    if config is None and (home / UNIT).exists() and (found := sorted((home / FOLDER).glob("*.json"))):
        _forget(home)  # the key went before a power cut, and what it was the key of did not
        (boot / ASKED).unlink()
        told = f"what a power cut had left of a decommissioning is gone; {home / FOLDER} has the statement\n"
        return told, hashlib.sha256(found[-1].read_bytes()).hexdigest()
    if config is None:
        raise OrderFault("retire_new", f"{ASKED}: this unit was never commissioned: there is nothing to end")
    if said != config.unit:
        raise OrderFault("retire_other_unit", f"{ASKED}: the one line {config.unit} would be right")
    _require_own(config, home)
    _require_button(config, clock)
    statement, line, name = _statement(config, home, clock)
    _put_aside(config, name)
    for path in (home / admit.KEY, *sorted(home.glob(f"{admit.KEY}.next*"))):
        wipe.wipe(path)
    _forget(home)
    with contextlib.suppress(OSError):  # the unit keeps both; a card that takes nothing hides no end of a key
        for path in sorted((home / FOLDER).glob(f"{name}.json*")):
            replace_durably(boot / f"{config.unit}.{path.name.replace(name, 'retired')}", path.read_bytes())
    with contextlib.suppress(OSError):
        (boot / ASKED).unlink()
    return (
        f"unit {config.unit} is out of service; its key has ended and is destroyed\n"
        f"the line of that key in allowed_signers from now on:\n{line}\n"
        f"its vault is kept as {config.vault_path.with_name(_aside(config, name))}\n"
    ), hashlib.sha256(statement).hexdigest()


def _forget(home: Path) -> None:
    for each in _ENDS:
        (home / each).resolve().unlink(missing_ok=True)


def _require_own(config: Config, home: Path) -> None:
    """Root renames the vault that a file of the recorder's names: it has to be the recorder's too."""
    try:
        owner, vault = (home / UNIT).stat().st_uid, os.lstat(config.vault_path)
    except OSError:
        return  # there is nothing to rename
    if owner not in (0, vault.st_uid) or not stat.S_ISDIR(vault.st_mode):
        raise OrderFault(
            "retire_config", f"{config.vault_path}: no folder of whoever owns {UNIT}; its vault would be right"
        )


def _require_button(config: Config, clock: Clock) -> None:
    """Held all the time: a button that was pressed by chance, or a contact that bounces, ends no unit."""
    try:
        board = open_panel(config)
    except (LinetapError, OSError) as error:
        raise OrderFault("retire_button", f"{ASKED}: the button cannot be read: {error}") from None
    try:
        until_ns = clock.monotonic_ns() + HOLD_S * NS_PER_S
        while clock.monotonic_ns() < until_ns:
            if not board.button():
                raise OrderFault("retire_button", f"{ASKED}: the button was not held for {HOLD_S} s while it started")
            clock.sleep(LOOK_EVERY_S)
    finally:
        board.close()


def _statement(config: Config, home: Path, clock: Clock) -> tuple[bytes, str, str]:
    """The statement, signed if the key still can; the line by which the key is trusted up to now; the name of both."""
    public = " ".join(_small(home / "unit.key.pub").decode("utf-8", "replace").split()[:2])
    head = _head(config.vault_path / unitlog.FOLDER / unitlog.HEAD)
    at_ns = max(clock.utc_ns(), parse_rfc3339(head.at) if head else 0)  # a Pi at its start may not have the time yet
    until = rfc3339(at_ns)[:19].translate(str.maketrans("", "", "-:T")) + "Z"
    line = f'{config.unit} namespaces="{",".join(NAMESPACES)}",valid-before="{until}" {public}'
    retired = Retired(
        unit=config.unit, key=public, at=rfc3339(at_ns),
        head_size=head.size if head else None, head_root=head.root if head else None,
    )  # fmt: skip
    data, name = msgspec.json.encode(retired), compact(at_ns)
    folder = home / FOLDER
    folder.mkdir(exist_ok=True)
    try:
        signature = UnitKey(home / admit.KEY, config.keys).signer(NAMESPACE)(data)
        replace_durably(folder / f"{name}.json.sig", signature.encode())
    except (LinetapError, OSError):  # the key is damaged: then the line alone says when it ended
        pass
    replace_durably(folder / f"{name}.json", data)
    replace_durably(folder / f"{name}.allowed_signers", f"{line}\n".encode())
    return data, line, name


def _aside(config: Config, name: str) -> str:
    return f"{config.vault_path.name}.{config.unit}.{name}"


def _put_aside(config: Config, name: str) -> None:
    if config.vault_path.is_dir():
        config.vault_path.rename(config.vault_path.with_name(_aside(config, name)))


def _head(path: Path) -> unitlog.Head | None:
    try:
        return unitlog.decode_head(_small(path))
    except LinetapError:
        return None


def _small(path: Path) -> bytes:
    """b"" where there is none that could be read: nothing here may keep a key from ending."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as file:
        return file.read(unitlog.HEAD_LIMIT_BYTES) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
