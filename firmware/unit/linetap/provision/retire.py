# SPDX-License-Identifier: Apache-2.0
"""Decommissioning: takes a unit out of service and ends its key; then it is a new unit.

It requires two actions of a person in the closet: a file on the card with the unit's name, and the button, held while
the unit starts. The old key signs its own end and is destroyed, the vault is set aside unchanged, and the next order
makes a new key. Nothing is written into the vault: it belongs to another user, and this code runs as root. A unit
without its configuration is decommissioned in the same way, by root's memory (memory.py).

A power cut may interrupt it anywhere. The next start then continues with the statement that is there: the vault, whose
log is in the statement, may be set aside already, and the time may be unknown in that start.
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
from linetap.config.require import TLS_CERTIFICATE, TLS_KEY
from linetap.config.schema import Keys
from linetap.provision import acceptorder, cardfiles, memory
from linetap.provision.memory import KEY, Memory
from linetap_core import jsontext, plainfile
from linetap_core.clock import FIRST_NS, NS_PER_S, Clock, compact, parse_rfc3339, rfc3339
from linetap_core.durable import copies as filecopies
from linetap_core.durable import privatefile
from linetap_core.durable.copies import TWIN_SUFFIX
from linetap_core.durable.files import move_durably, replace_durably, sync_directory
from linetap_core.enrolment.order import UNIT, OrderFault
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing import namespaces, sshsig

ASKED = cardfiles.DECOMMISSION  # on the card: the unit's name
FOLDER = "retired"  # in /etc/linetap
HOLD_S, LOOK_EVERY_S = 5, 0.1
_KEY_LINE_WORDS = 3  # unit.key.pub has type, key and the unit's name
_ENDS = (f"{KEY}.pub", TLS_KEY, TLS_CERTIFICATE, UNIT, f"{memory.NAME}{TWIN_SUFFIX}", memory.NAME)
# The memory is removed last: until then all steps are repeated.


class Retired(msgspec.Struct, kw_only=True):
    """The statement that the old key signs. `head_*`: of the unit's log, at the key's end."""

    unit: str
    key: str  # the line of the public key
    at: str
    head_size: int | None = None
    head_root: str | None = None


class _Statement(msgspec.Struct):
    """A statement in FOLDER, by the name that its files and the vault's new folder have in common."""

    name: str
    data: bytes
    document: Retired

    @property
    def line(self) -> str:
        """The line for allowed_signers that trusts the key until its end."""
        until = self.document.at[:19].translate(str.maketrans("", "", "-:T")) + "Z"
        limits = f'namespaces="{",".join(namespaces.BY_UNIT)}",valid-before="{until}"'
        return f"{self.document.unit} {limits} {self.document.key}"


class _Ending(msgspec.Struct):
    """The unit to be decommissioned, and its [keys]: None if the configuration is lost."""

    unit: str
    known: Memory
    keys: Keys | None = None

    @property
    def vault(self) -> Path:
        return Path(self.known.vault)

    def aside(self, name: str) -> Path:
        return self.vault.with_name(f"{self.vault.name}.{self.unit}.{name}")

    def is_aside(self, name: str) -> bool:
        return self.aside(name).is_dir() and not self.vault.exists()


def retire(boot: Path, home: Path, clock: Clock) -> tuple[str, str]:
    """Decommissions the unit; returns the steps in words, and the statement's SHA-256. OrderFault: nothing was done."""
    try:
        typed = cardfiles.one_line(acceptorder.read_card(boot / ASKED))
    except BadInput as error:
        raise OrderFault("retire_config", str(error)) from None
    if (statement := _cut_short(home, typed)) is not None:  # a power cut after the key's destruction
        text = "the decommissioning that a power cut had interrupted is complete\n"
        aside = f"vault.{statement.document.unit}.{statement.name}"
    else:
        ending = _ending(home)
        if typed != ending.unit:
            raise OrderFault("retire_other_unit", f"{ASKED}: the one line {ending.unit} expected")
        _require_own(ending)
        begun = _begun(ending, home)
        if begun is None or not ending.is_aside(begun.name):  # otherwise the button was held before the power cut
            _require_button(ending.known, clock)
        statement = begun or _new_statement(ending, home, clock)
        _keep(statement, home, ending.keys)
        aside = str(_put_aside(ending, statement.name))
        copies = [home / f"{KEY}{filecopies.SUFFIX}", *sorted(home.glob(f"{KEY}.broken-*"))]
        # The key last: while it exists all steps are repeated.
        for path in (*copies, *sorted(home.glob(f"{KEY}.next*")), home / KEY):
            if path.exists():
                privatefile.wipe(path)
        text = ""
    _forget(home)
    _hand_out(statement, home, boot)
    return (
        f"{text}unit {statement.document.unit} is out of service; its key has ended and is destroyed\n"
        f"the line of that key in allowed_signers from now on:\n{statement.line}\n"
        f"its vault is kept as {aside}\n"
    ), hashlib.sha256(statement.data).hexdigest()


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


def _cut_short(home: Path, unit: str) -> _Statement | None:
    """The statement of a decommissioning that destroyed the key and was then interrupted, perhaps after `_forget`."""
    if (home / KEY).exists():
        return None
    found, public = _statements(home), home / f"{KEY}.pub"
    if not any((home / name).exists() for name in (UNIT, memory.NAME)):
        found = [each for each in found if each.document.unit == unit]
    elif public.exists():
        found = [each for each in found if each.document.key == _public(public)]
    return found[-1] if found else None


def _statements(home: Path) -> list[_Statement]:
    """All statements of this machine's keys, by their time."""
    found = []
    for path in sorted((home / FOLDER).glob("*.json")):
        data = _small(path)
        with contextlib.suppress(ValueError):
            document = jsontext.decode(data, type=Retired)
            parse_rfc3339(document.at)
            found.append(_Statement(path.name.removesuffix(".json"), data, document))
    return found


def _of_key(home: Path) -> list[_Statement]:
    public = _public(home / f"{KEY}.pub")
    return [each for each in _statements(home) if public and each.document.key == public]


def _begun(ending: _Ending, home: Path) -> _Statement | None:
    """The statement of this very key that a power cut left, unless the log has grown since: the unit was then used."""
    head = _head(ending)
    now = (head.size, head.root) if head else (None, None)
    for each in reversed(_of_key(home)):
        if ending.is_aside(each.name) or (each.document.head_size, each.document.head_root) == now:
            return each
    return None


def _public(path: Path) -> str:
    return " ".join(_small(path).decode("utf-8", "replace").split()[:2])


def _forget(home: Path) -> None:
    for aside in home.glob(f"{TLS_KEY}.broken-*"):
        aside.unlink()
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


def _new_statement(ending: _Ending, home: Path, clock: Clock) -> _Statement:
    head, earlier = _head(ending), _of_key(home)
    at_ns = max(clock.utc_ns(), parse_rfc3339(head.at) if head else 0)  # a starting Pi may not have the time yet
    if at_ns < FIRST_NS and ending.known.made_at is not None:
        at_ns = parse_rfc3339(ending.known.made_at)
    if earlier:
        at_ns = max(at_ns, parse_rfc3339(earlier[-1].document.at))
    while (home / FOLDER / f"{compact(at_ns)}.json").exists() or ending.aside(compact(at_ns)).exists():
        at_ns += NS_PER_S
    document = Retired(
        unit=ending.unit, key=_public(home / f"{KEY}.pub"), at=rfc3339(at_ns),
        head_size=head.size if head else None, head_root=head.root if head else None,
    )  # fmt: skip
    return _Statement(compact(at_ns), msgspec.json.encode(document), document)


def _keep(statement: _Statement, home: Path, own: Keys | None) -> None:
    """Writes the statement, its signature if the key still can sign, and the line, as far as they are missing."""
    folder = home / FOLDER
    folder.mkdir(exist_ok=True)
    sync_directory(home)
    path = folder / f"{statement.name}.json"
    if not path.exists():
        replace_durably(path, statement.data)
    signature = folder / f"{path.name}{namespaces.SUFFIX}"
    if not signature.exists():
        with contextlib.suppress(
            LinetapError, OSError
        ):  # the key is damaged: then only the line has the time of its end
            made = sshsig.sign(statement.data, unitkeys.open_key(home / KEY, own), namespaces.RETIRED)
            replace_durably(signature, made.encode())
    replace_durably(folder / f"{statement.name}.allowed_signers", f"{statement.line}\n".encode())


def _hand_out(statement: _Statement, home: Path, boot: Path) -> None:
    """Copies the statement to the card. The unit keeps it too, so that an unwritable card hides nothing."""
    with contextlib.suppress(OSError):
        for path in sorted((home / FOLDER).glob(f"{statement.name}.json*")):
            replace_durably(
                boot / f"{statement.document.unit}.{path.name.replace(statement.name, 'retired')}", path.read_bytes()
            )
    with contextlib.suppress(OSError):
        (boot / ASKED).unlink()
        sync_directory(boot)


def _put_aside(ending: _Ending, name: str) -> Path:
    aside = ending.aside(name)
    if ending.vault.is_dir():
        move_durably(ending.vault, aside)  # on disk before the key is destroyed: it is on another partition
    return aside


def _head(ending: _Ending) -> unitlog.Head | None:
    try:
        return unitlog.decode_head(_small(ending.vault / unitlog.FOLDER / unitlog.HEAD))
    except LinetapError:
        return None


def _small(path: Path) -> bytes:
    """The file's content; b"" if it is unreadable, which must not prevent a key's end."""
    try:
        with plainfile.opened(path) as file:
            return file.read(unitlog.HEAD_LIMIT_BYTES)
    except OSError:
        return b""
