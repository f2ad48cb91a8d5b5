# SPDX-License-Identifier: Apache-2.0
"""Opening a call: the required checks, and the decrypted result. Used by `linetap open` and `linetap custody`.

Exactly the bytes whose hashes were verified are opened. The audio is decrypted, decoded and written in blocks, so that
a call of any length takes the same memory: a part that changed in between is detected at its end, and what was written
is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap_core.codecs.codec import Undecodable
from linetap_core.codecs.registry import codec_named
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.authorization.release import NotReleased
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.sealing import age, group
from linetap_core.records import PERSONAL_FIELDS, CallRecord
from linetap_desk.accesslog.access import LoggedStep
from linetap_desk.accesslog.deskfolder import Desk
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.callfolder import KEY_LIMIT_BYTES
from linetap_desk.release import requestfile
from linetap_desk.unsealing import callproof, checkedcall, layers, stockage, wav
from linetap_desk.unsealing.callproof import Basis
from linetap_desk.unsealing.checkedcall import CheckedCall
from linetap_desk.unsealing.layers import outer_layer, require_of_call
from linetap_desk.witnessing.judge import NO_RULES, Rules

# 37 h of mu-law: longer than any call, of a day at most by unit.toml, with what age adds.
PART_LIMIT_BYTES = callfolder.LARGEST_BYTES


@dataclass(frozen=True, slots=True)
class OpeningInputs:
    """`inner` is the output of `unwrap`; without it the identities must open both layers, and the result is marked
    `unreleased`. `recipient`: for whom the result is encrypted; empty: not encrypted. `gives`: part of the call is
    handed over, which a request for listening alone does not allow."""

    folder: Path
    signers: Path | None
    identities: list[Path]
    inner: Path | None
    request: Path | None
    recipient: str
    closings: list[Path] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    rules: Rules = NO_RULES
    witnessed: list[Path] = field(default_factory=list)
    gives: bool = True


class Unlocked:
    """A call whose key was opened: the complete record, and the audio on request. A Refusal if no key fits."""

    def __init__(self, call: CheckedCall, identities: list[Path], inner: Path | None) -> None:
        self.call, self.unreleased = call, inner is None
        self._key = _call_key(call, identities, inner)
        self.record = _whole_record(call, self._key)
        if self.unreleased:
            self.record["unreleased"] = True
        self.samples = sum(part.samples for part in call.record.audio.parts) if call.record.audio else 0

    def audio(self) -> Generator[NDArray[np.int16]]:
        """The decoded samples in blocks, of the length that the record states. A Refusal, also after the last block, if
        they are not those of the verified call: what came before then counts for nothing."""
        return _audio(self.call.folder, self.call.record, self._key)


def require_released(desk: Desk | None, step: LoggedStep, wanted: OpeningInputs) -> CheckedCall:
    """The verified call. A Refusal unless a named unit sealed it, it is unchanged, and an approved, unexpired request
    names it."""
    checkedcall.name_folder(step.entry, wanted.folder)
    step.entry.unreleased = wanted.inner is None
    step.entry.request = next(filter(None, map(requestfile.key_request, wanted.identities)), "")
    roles = None if desk is None else desk.roles(step.past)
    signers = callproof.load_signers(wanted.signers, desk)
    basis = Basis(signers, roles, wanted.closings, wanted.logs, wanted.rules, wanted.witnessed)
    call = checkedcall.require_verified(wanted.folder, basis)
    checkedcall.name_key(step, call, call.key)
    if desk is not None and wanted.request is not None:
        _require_request(desk, step, wanted.request, wanted, call)
    return call


def _require_request(desk: Desk, step: LoggedStep, path: Path, wanted: OpeningInputs, call: CheckedCall) -> None:
    """NotReleased unless the request names this call and this recipient."""
    request = requestfile.require_stands(desk, step, path, gives=wanted.gives)
    requestfile.require_named(request, call, desk.roles(step.past))
    step.entry.recipient = wanted.recipient
    if wanted.recipient != request.recipient:
        text = f"request {request.id} is for {request.recipient}: --for with that key expected"
        raise NotReleased("recipient_differs", text)


def open_call(
    call: CheckedCall, identities: list[Path], inner: Path | None, output: Path, recipient: str = ""
) -> Unlocked:
    """Writes `output` (.wav, 16-bit, 8 kHz, mono), and the complete record beside it (.json). Neither file may exist.

    With a `recipient` (age1...) both are age files for it, and their names end in .age.
    """
    opened = Unlocked(call, identities, inner)
    with _removed_on_error([output, json_path(output)]):
        with privatefile.create(output) as file, contextlib.closing(opened.audio()) as audio:
            wav.write(file, wav.stream(opened.samples, audio), recipient)
        text = msgspec.json.format(msgspec.json.encode(opened.record), indent=2) + b"\n"
        privatefile.write(json_path(output), age.encrypt(text, [recipient]) if recipient else text)
    return opened


def json_path(output: Path) -> Path:
    """call.wav.age -> call.json.age."""
    name = output.name.removesuffix(sealing.SUFFIX)
    return output.with_name(name.removesuffix(".wav") + ".json" + output.name[len(name) :])


def _record_bytes(call: CheckedCall) -> bytes:
    data = callfolder.read(call.folder / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
    if hashlib.sha256(data).hexdigest() != call.record_sha256:
        raise Refusal(f"{call.folder / sealed.RECORD}: changed while it was being opened")
    return data


def _signed_bytes(call_dir: Path, record: CallRecord, name: str, limit_bytes: int) -> bytes:
    data = callfolder.read(call_dir / name, limit_bytes)
    _require_signed(call_dir / name, hashlib.sha256(data).hexdigest(), record)
    return data


def _require_signed(path: Path, sha256: str, record: CallRecord) -> None:
    if sha256 != record.files[path.name]:
        raise Refusal(f"{path}: changed while it was being opened")


def _call_key(call: CheckedCall, identities: list[Path], inner: Path | None) -> bytes:
    """The identity file with the call's key."""
    if inner is None:
        blob = outer_layer(call.key, identities)
    else:
        try:
            blob = callfolder.read(inner, KEY_LIMIT_BYTES)
        except callfolder.Damaged as error:
            raise BadInput(f"{inner}: {error}; what `linetap unwrap` wrote expected") from None
    require_of_call(blob, call.key.call)
    try:
        opened = _custodians_layer(blob, identities)
        if inner is not None and group.is_sealed(opened):  # it was inside the one-time key's layer
            require_of_call(opened, call.key.call)
            opened = _custodians_layer(opened, identities)
    except NotReleased:
        raise
    except group.MembersMissing as error:
        raise group.MembersMissing(f"{inner or sealed.KEY}: {str(error).removesuffix(f' [{error.code}]')}") from None
    except Refusal as error:
        raise Refusal(f"{inner or sealed.KEY}: the custodians' layer does not open: {error}") from None
    return opened


def hand_on(desk: Desk, step: LoggedStep, wanted: OpeningInputs, output: Path) -> group.Peeled:
    """Removes these custodians' layers, and writes the rest for the next one, encrypted to the remaining ones only. All
    checks before opening precede it; the step is granted in between."""
    call = require_released(desk, step, replace(wanted, gives=False))  # the requester gets nothing here
    assert wanted.inner is not None
    blob = layers.read_partial(wanted.inner)
    one_time = [path for path in wanted.identities if requestfile.key_request(path)]
    own = [path for path in wanted.identities if path not in one_time]
    if not own:
        raise BadInput("--identity: the one-time key alone; a custodian's own expected")
    privatefile.require_new(output)
    if not one_time:
        step.entry.left = max(group.needed(blob) - len(own), 0)
    step.granted()
    peeled = peel_custodians(call, blob, own, one_time)
    privatefile.write(output, peeled.data)
    return peeled


def peel_custodians(call: CheckedCall, blob: bytes, own: list[Path], one_time: list[Path]) -> group.Peeled:
    """Removes these custodians' layers from the file of the officer, or of an earlier custodian. A Refusal if no other
    custodian is needed: then the call must be opened instead."""
    if one_time and group.needed(blob) == 1:  # the one-time key's layer is the outer one
        blob = stockage.decrypt(blob, one_time)
    require_of_call(blob, call.key.call)
    if group.needed(blob) <= len(own):
        raise Refusal("no other custodian is needed: use `linetap open`")
    return group.peel(blob, lambda layer: stockage.decrypt(layer, own), len(own))


def _custodians_layer(blob: bytes, identities: list[Path]) -> bytes:
    return group.open_whole(blob, lambda layer: stockage.decrypt(layer, identities))


def _whole_record(call: CheckedCall, call_key: bytes) -> dict[str, Any]:
    """The content of meta.age, whose common fields must equal those of the signed record. A call recovered from its
    folder alone has no meta.age: its telephone numbers are lost."""
    call_dir, record = call.folder, call.record
    public = strict.decode(_record_bytes(call), dict[str, Any], call_dir / sealed.RECORD)
    if record.recovered and sealed.META not in record.files:
        return public
    limit = sealed.RECORD_LIMIT_BYTES + age.SEALED_CHUNK_BYTES
    opened = stockage.decrypt_with_key(_signed_bytes(call_dir, record, sealed.META, limit), call_key)
    if not opened.whole:
        raise Refusal(f"{call_dir / sealed.META}: does not open with the key of this call: {opened.complaint}")
    try:
        whole = strict.decode(opened.plaintext, dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{call_dir / sealed.META}: {error}") from None
    # After a power cut the journal's last state of the call is sealed, and the record states what happened later.
    fields = {"call_id", "suite"} if record.recovered else (whole.keys() | public.keys()) - {*PERSONAL_FIELDS, "files"}
    if any(whole.get(name, msgspec.UNSET) != public.get(name, msgspec.UNSET) for name in fields):
        raise Refusal(f"{call_dir / sealed.META}: differs from the signed {sealed.RECORD}")
    if record.recovered:
        return public | {name: whole.get(name) for name in PERSONAL_FIELDS}
    whole["files"] = public["files"]
    return whole


def _audio(call_dir: Path, record: CallRecord, call_key: bytes) -> Generator[NDArray[np.int16]]:
    if record.audio is None or not record.audio.parts:
        return
    decoder = codec_named(record.audio.codec).decoder()
    for part in record.audio.parts:
        path = call_dir / part.file
        if part.samples > PART_LIMIT_BYTES:  # one byte is at least one sample
            raise Refusal(f"{path}: {part.samples} samples, more than 37 h; no call is so long")
        with callfolder.hashed(path) as file:
            plain, fault = stockage.PlainBlocks(file, call_key), None
            try:
                with contextlib.closing(iter(plain)) as blocks:
                    yield from decoder.decode(blocks, part.samples)
            except Undecodable as error:
                # A part truncated by a restart is incomplete; the record states how much of it counts.
                fault = Refusal(f"{path}: {error}" + (f": {plain.complaint}" if plain.complaint else ""))
            _require_signed(path, file.digest().sha256, record)
            if fault is not None:
                raise fault


@contextlib.contextmanager
def _removed_on_error(paths: list[Path]) -> Iterator[None]:
    """Removes partially written files. Files that existed before are not touched."""
    ours = [path for path in paths if not path.exists()]
    try:
        yield
    except BaseException as error:  # on Ctrl-C too, no decrypted audio may remain
        for path in ours:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, LinetapError):
            raise BadInput(f"{paths[0]}: {error.strerror}") from None
        raise
