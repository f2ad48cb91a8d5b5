# SPDX-License-Identifier: Apache-2.0
"""Decommissioning: takes a unit out of service and ends its key; then it is a new unit.

It requires two actions of a person in the closet: a file on the card with the unit's name, and the button, held while
the unit starts. The old key signs its own end and is destroyed, the vault is set aside unchanged, and the next order
makes a new key. Nothing is written into the vault: it belongs to another user, and this code runs as root. A unit
without its configuration is decommissioned in the same way, by root's memory (memory.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

import msgspec

from linetap import unitkeys
from linetap.boardchoice import panel_of
from linetap.config import load_config
from linetap.config.schema import Keys
from linetap.provision import acceptorder, cardfiles, memory
from linetap.provision.memory import KEY, Memory
from linetap_core import jsontext
from linetap_core.clock import NS_PER_S, Clock, compact, parse_rfc3339, rfc3339
from linetap_core.durable import copies as filecopies
from linetap_core.durable import privatefile
from linetap_core.durable.copies import TWIN_SUFFIX
from linetap_core.durable.files import replace_durably
from linetap_core.enrolment.order import UNIT, OrderFault
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing import namespaces, sshsig

ASKED = cardfiles.DECOMMISSION  # on the card: the unit's name
FOLDER = "retired"  # in /etc/linetap
HOLD_S, LOOK_EVERY_S = 5, 0.1
_KEY_LINE_WORDS = 3  # unit.key.pub has type, key and the unit's name
_ENDS = (f"{KEY}.pub", "tls.key", "tls.pem", UNIT, f"{memory.NAME}{TWIN_SUFFIX}", memory.NAME)
# The memory is removed last: until then all steps are repeated.


class Retired(msgspec.Struct, kw_only=True):
    """The statement that the old key signs. `head_*`: of the unit's log, at the key's end."""

    unit: str
    key: str  # the line of the public key
    at: str
    head_size: int | None = None
    head_root: str | None = None


class _Ending(msgspec.Struct):
    """The unit to be decommissioned, and its [keys]: None if the configuration is lost."""

    unit: str
    known: Memory
    keys: Keys | None = None

    @property
    def vault(self) -> Path:
        return Path(self.known.vault)


def retire(boot: Path, home: Path, clock: Clock) -> tuple[str, str]:
    """Decommissions the unit; returns the steps in words, and the statement's SHA-256. OrderFault: nothing was done."""
    try:
        typed = cardfiles.one_line(acceptorder.read_card(boot / ASKED))
    except BadInput as error:
        raise OrderFault("retire_config", str(error)) from None
    if (found := _cut_short(home)) is not None:
        _forget(home)  # a power cut after the key's destruction
        (boot / ASKED).unlink()
        text = f"the decommissioning that a power cut had interrupted is complete; {home / FOLDER} has the statement\n"
        return text, hashlib.sha256(found).hexdigest()
    ending = _ending(home)
    if typed != ending.unit:
        raise OrderFault("retire_other_unit", f"{ASKED}: the one line {ending.unit} expected")
    _require_own(ending)
    _require_button(ending.known, clock)
    statement, line, name = _statement(ending, home, clock)
    aside = _put_aside(ending, name)
    copies = [home / f"{KEY}{filecopies.SUFFIX}", *sorted(home.glob(f"{KEY}.broken-*"))]
    # Its copies first: while the key exists all steps are repeated.
    for path in (*copies, home / KEY, *sorted(home.glob(f"{KEY}.next*"))):
        if path.exists():
            privatefile.wipe(path)
    _forget(home)
    with contextlib.suppress(OSError):  # the unit keeps both, so that an unwritable card hides nothing
        for path in sorted((home / FOLDER).glob(f"{name}.json*")):
            replace_durably(boot / f"{ending.unit}.{path.name.replace(name, 'retired')}", path.read_bytes())
    with contextlib.suppress(OSError):
        (boot / ASKED).unlink()
    return (
        f"unit {ending.unit} is out of service; its key has ended and is destroyed\n"
        f"the line of that key in allowed_signers from now on:\n{line}\n"
        f"its vault is kept as {aside}\n"
    ), hashlib.sha256(statement).hexdigest()


def _ending(home: Path) -> _Ending:
    """The unit to be decommissioned. OrderFault if there is none. An unreadable configuration counts as lost."""
    if not (home / KEY).exists() and not (home / memory.NAME).exists():
        raise OrderFault("retire_new", f"{ASKED}: this unit was never commissioned: there is nothing to end")
    try:
        known = memory.load(home) or Memory()
    except OrderFault:
        known = Memory()
    public = _small(home / f"{KEY}.pub").decode("utf-8", "replace").split()
    try:
        config, owner = load_config(home / UNIT), (home / UNIT).stat().st_uid
    except (BadInput, OSError):
        unit = known.unit or (public[2] if len(public) == _KEY_LINE_WORDS else "")
        if not unit:
            raise OrderFault("retire_config", f"{ASKED}: the name of this unit is no longer known") from None
        return _Ending(unit, known)
    known.place(config, owner)
    return _Ending(known.unit or config.unit, known, config.keys)


def _cut_short(home: Path) -> bytes | None:
    """The statement of a decommissioning that destroyed the key and was then interrupted."""
    if (home / KEY).exists() or not any((home / name).exists() for name in (UNIT, memory.NAME)):
        return None
    statements = sorted((home / FOLDER).glob("*.json"))
    try:
        data = _small(statements[-1])
        ended = jsontext.decode(data, type=Retired).key
    except (IndexError, ValueError):
        return None
    public = home / f"{KEY}.pub"
    return data if not public.exists() or _public(public) == ended else None


def _public(path: Path) -> str:
    return " ".join(_small(path).decode("utf-8", "replace").split()[:2])


def _forget(home: Path) -> None:
    for each in _ENDS:
        place = (home / each).resolve()
        filecopies.kept_of(place).unlink(missing_ok=True)
        place.unlink(missing_ok=True)


def _require_own(ending: _Ending) -> None:
    """Checks that the vault belongs to the recorder: root renames it, and the recorder's file names it."""
    try:
        vault = os.lstat(ending.vault)
    except OSError:
        return  # nothing to rename
    if ending.known.owner not in (0, vault.st_uid) or not stat.S_ISDIR(vault.st_mode):
        raise OrderFault("retire_config", f"{ending.vault}: no folder of the owner of {UNIT}; its vault expected")


def _require_button(known: Memory, clock: Clock) -> None:
    """Requires the button to be held throughout: an accidental press, or contact bounce, must not end a unit."""
    try:
        board = panel_of(known.board, Path(known.run_dir))
    except (LinetapError, OSError) as error:
        raise OrderFault("retire_button", f"{ASKED}: the button cannot be read: {error}") from None
    try:
        until_ns = clock.monotonic_ns() + HOLD_S * NS_PER_S
        while clock.monotonic_ns() < until_ns:
            if not board.button():
                raise OrderFault("retire_button", f"{ASKED}: the button was not held for {HOLD_S} s during the start")
            clock.sleep(LOOK_EVERY_S)
    finally:
        board.close()


def _statement(ending: _Ending, home: Path, clock: Clock) -> tuple[bytes, str, str]:
    """The statement, signed if the key still can; the line that trusts the key until now; and the name of both."""
    public = _public(home / f"{KEY}.pub")
    head = _head(ending.vault / unitlog.FOLDER / unitlog.HEAD)
    at_ns = max(clock.utc_ns(), parse_rfc3339(head.at) if head else 0)  # a starting Pi may not have the time yet
    until = rfc3339(at_ns)[:19].translate(str.maketrans("", "", "-:T")) + "Z"
    line = f'{ending.unit} namespaces="{",".join(namespaces.BY_UNIT)}",valid-before="{until}" {public}'
    retired = Retired(
        unit=ending.unit, key=public, at=rfc3339(at_ns),
        head_size=head.size if head else None, head_root=head.root if head else None,
    )  # fmt: skip
    data, name = msgspec.json.encode(retired), compact(at_ns)
    folder = home / FOLDER
    folder.mkdir(exist_ok=True)
    try:
        signature = sshsig.sign(data, unitkeys.open_key(home / KEY, ending.keys), namespaces.RETIRED)
        replace_durably(folder / f"{name}.json{namespaces.SUFFIX}", signature.encode())
    except (LinetapError, OSError):  # the key is damaged: then only the line has the time of its end
        pass
    replace_durably(folder / f"{name}.json", data)
    replace_durably(folder / f"{name}.allowed_signers", f"{line}\n".encode())
    return data, line, name


def _put_aside(ending: _Ending, name: str) -> Path:
    aside = ending.vault.with_name(f"{ending.vault.name}.{ending.unit}.{name}")
    if ending.vault.is_dir():
        ending.vault.rename(aside)
    return aside


def _head(path: Path) -> unitlog.Head | None:
    try:
        return unitlog.decode_head(_small(path))
    except LinetapError:
        return None


def _small(path: Path) -> bytes:
    """The file's content; b"" if it is unreadable, which must not prevent a key's end."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as file:
        return file.read(unitlog.HEAD_LIMIT_BYTES) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
