# SPDX-License-Identifier: Apache-2.0
"""The steps of a custodian with a package. Each passes the same checks as its command, and is logged before it runs.
Decrypted audio is in memory only."""

from __future__ import annotations

import argparse
import contextlib
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap_core.clock import NS_PER_S, Clock, from_utc_ns, parse_rfc3339, rfc3339
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.authorization import citizen
from linetap_core.evidence.authorization.release import Request, require_copy
from linetap_core.evidence.authorization.roles import Purpose
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.sealing import group
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import require_named
from linetap_core.records import CallRecord
from linetap_desk.accesslog.access import Entry, LoggedStep
from linetap_desk.accesslog.deskfolder import Desk
from linetap_desk.bundle import command as bundle
from linetap_desk.custody import sound
from linetap_desk.custody.citizen import copying
from linetap_desk.custody.citizen.copying import MadeCopy
from linetap_desk.custody.citizen.masking import Span
from linetap_desk.custody.moments import Moment, began_ns, moments
from linetap_desk.custody.package import Package
from linetap_desk.proofs import amendments, callfolder
from linetap_desk.release import requestfile, requesting
from linetap_desk.release.opening import OpeningInputs, Unlocked, hand_on, json_path, open_call, require_released
from linetap_desk.unsealing import callproof, checkedcall, layers
from linetap_desk.unsealing.callproof import Basis
from linetap_desk.unsealing.wrapped import DOCUMENTS
from linetap_desk.witnessing import options


@dataclass(frozen=True, slots=True)
class OpenedCall:
    """An opened call, decrypted in memory."""

    record: CallRecord  # with its telephone numbers
    pcm: NDArray[np.int16]
    peaks: list[int]
    moments: list[Moment]
    began_ns: int
    witnessed: str  # the witnesses' verdict
    amended: Amendment | None  # the unit's later report of its times and end
    unamended: str  # why the package's amendment does not count


@dataclass(frozen=True, slots=True)
class CustodianFiles:
    """The custodian's files and keys (command.py)."""

    signers: Path
    identities: list[Path]
    recipient: str  # the requester's key, typed by the custodian; empty: the request's key
    output: Path
    logs: list[Path] = field(default_factory=list)


class Case:
    """An open package. Runs one step at a time: a second key press waits for the first."""

    def __init__(self, package: Package, desk: Desk, means: CustodianFiles, clock: Clock) -> None:
        self.package, self.desk, self.means = package, desk, means
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._opened: dict[str, OpenedCall] = {}
        self._short: set[str] = set()  # calls that need more custodians than are here
        self.handed_on: dict[str, int] = {}  # call id -> the number of custodians still needed
        self.done: list[str] = []  # files that were written
        self.spans: dict[str, list[Span]] = {}  # call id -> the silenced spans of a citizen's copy

    @property
    def request(self) -> Request:
        return self.package.request

    @property
    def one_time_key(self) -> Path | None:
        """The key file that `close` destroys."""
        return next((path for path in self.means.identities if requestfile.key_request(path) == self.request.id), None)

    @property
    def is_logged(self) -> bool:
        """Whether there is a file that may prove that each call is in its unit's log; `bundle` verifies it."""
        return bool(self.means.logs) or len(self.package.closings()) == len(self.request.calls)

    def purpose(self) -> Purpose | None:
        """The purpose by the roles in force; None if they do not list it, or are invalid."""
        try:
            return self.desk.roles(self.desk.access.entries()).purpose(self.request.purpose)
        except LinetapError:
            return None

    @property
    def is_to_listen(self) -> bool:
        """Whether handing over is not permitted, for display; each step checks it itself."""
        try:
            require_copy(self.request, self.desk.roles(self.desk.access.entries()))
        except LinetapError:
            return True
        return False

    def opened(self, call_id: str) -> OpenedCall | None:
        return self._opened.get(call_id)

    def sealed_record(self, call_id: str) -> CallRecord:
        """The package's record of a call, unverified."""
        found = requestfile.found_call(self.package.call(call_id))
        data = (self.package.call(call_id) / sealed.RECORD).read_bytes()
        try:
            record = sealed.decode_record(data)
        except msgspec.MsgspecError as error:
            raise BadInput(f"{found.call_id}: {error}") from None
        return record

    def amended(self, call_id: str) -> Amendment | None:
        """The call's amendment: verified if the call is open, otherwise as in the package."""
        opened = self._opened.get(call_id)
        return amendments.newest(self.package.folder, call_id) if opened is None else opened.amended

    def needs_more(self, call_id: str) -> bool | None:
        """Whether further custodians are needed; None if only opening the call shows it."""
        if call_id in self._short or call_id in self.handed_on:
            return True
        handed = self._previous_custodian_file(call_id)
        if handed is None:
            return None
        try:
            return group.needed(layers.read_partial(handed)) > len(self.means.identities)
        except LinetapError:
            return None  # its use states the reason

    def hand_on(self, call_id: str) -> None:
        """`linetap release peel`: removes this custodian's layer, and writes the file for the next custodian."""
        with self._one_at_a_time:
            output = self.means.output / f"{call_id}.part{sealing.SUFFIX}"
            with self.desk.access.logged_step(Entry(verb="peel")) as step:
                peeled = hand_on(self.desk, step, self._inputs(call_id), output)
            self.handed_on[call_id] = peeled.left
            self.done.append(str(output))

    def listen(self, call_id: str) -> None:
        """Opens the call in memory."""
        with self._one_at_a_time:
            if call_id in self._opened:
                return
            with self.desk.access.logged_step(Entry(verb="listen")) as step:
                wanted = replace(self._inputs(call_id), gives=False)
                call = require_released(self.desk, step, wanted)
                step.granted()
                try:
                    unlocked = Unlocked(call, wanted.identities, wanted.inner)
                except group.MembersMissing:
                    self._short.add(call_id)
                    raise
                opened = _opened_call(unlocked)
                if citizen.is_citizens(self.request):
                    citizen.require_own_number(self.request, numbers(opened.record))
                self._opened[call_id] = opened

    def give(self, call_id: str) -> None:
        """`linetap open --request --for`: writes two files for the requester."""
        if self.request.recipient in citizen.GIVEN_OUT:
            raise BadInput(f"request {self.request.id}: a citizen's; nobody has the key that it names")
        with self._one_at_a_time:
            output = self.means.output / f"{call_id}.wav{sealing.SUFFIX}"
            with self.desk.access.logged_step(Entry(verb="open", recipient=self._recipient)) as step:
                wanted = self._inputs(call_id)
                for path in (output, json_path(output)):
                    privatefile.require_new(path)
                call = require_released(self.desk, step, wanted)
                step.granted()
                open_call(call, wanted.identities, wanted.inner, output, wanted.recipient)
            self.done += [str(output), str(json_path(output))]

    def copy_for_citizen(self, call_id: str, zone: ZoneInfo) -> MadeCopy:
        """Writes a file under a passphrase, with the marked spans silenced. The passphrase is returned and not
        stored."""
        with self._one_at_a_time:
            opened = self._opened.get(call_id)
            if opened is None:
                raise BadInput(f"{call_id}: open it and listen to it first")
            output = self.means.output / f"{call_id}.zip"
            with self.desk.access.logged_step(Entry(verb="copy")) as step:
                call = require_released(self.desk, step, self._inputs(call_id))
                citizen.require_copy(self.request)
                citizen.require_own_number(self.request, numbers(opened.record))
                for path in copying.paths(output):
                    privatefile.require_new(path)
                source = copying.ReleasedCall(
                    call.record.unit, call_id, call.record_sha256, self.request, step.entry.request_sha256,
                    opened.pcm, datetime.fromtimestamp(opened.began_ns / NS_PER_S, zone),
                )  # fmt: skip
                now_ns = self._clock.utc_ns()
                proof = copying.prove(source, self.spans.get(call_id, []), rfc3339(now_ns), self.desk.access.name)
                step.entry.text = f"silenced spans: {len(proof.masked)}, WAV SHA-256 {proof.wav_sha256}"
                step.granted()
                made = datetime.fromtimestamp(now_ns / NS_PER_S, zone)
                copied = copying.make(source, proof, self.desk.access, made, output)
            self.done += map(str, copied.files)
            return copied

    def bundle(self) -> None:
        """`linetap bundle` for all calls of the request."""
        with self._one_at_a_time:
            parser = argparse.ArgumentParser()
            bundle.add_arguments(parser)
            words = [f"--case={self.request.case}", f"--signers={self.means.signers}"]
            words += [f"--log={path}" for path in self.means.logs]
            if not self.means.logs:
                words += [f"--closing={path}" for path in self.package.closings()]
            words += self._holds()
            words += [f"--desk={self.desk.folder}", f"--output={self.means.output / self.request.id}.zip"]
            calls = [str(self.package.call(call.call_id)) for call in self.request.calls]
            entry = Entry(verb="bundle", case=self.request.case)
            description = bundle.make(
                parser.parse_args([*words, *calls]), self.desk, entry,
                self._require_whole_request,
            )  # fmt: skip
            self.done.append(description)

    def _holds(self) -> list[str]:
        """The option for the re-wrapped keys. Without them the bundle would not open after the destruction of the day's
        key; with the key of an unknown signer the bundle would not verify."""
        folder = self.package.holds()
        if folder is None:
            return []
        signers = callfolder.load_signers(self.means.signers)
        for path in (path for name in DOCUMENTS for path in folder.glob(f"*/{name}")):
            try:
                data = callfolder.read(path, hold.LIMIT_BYTES)
                armored = callfolder.read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES)
                at = from_utc_ns(parse_rfc3339(hold.decode(data).made_at))
                require_named(sshsig.check(data, armored, namespaces.HOLD), namespaces.HOLD, signers, at)
            except (Refusal, ValueError) as error:
                self.done.append(f"{path.parent.name}: its hold, with its key, is not in the bundle: {error}")
                return []
        return [f"--holds={folder}"]

    def _require_whole_request(self, step: LoggedStep) -> None:
        """NotReleased unless the request is valid, and each of its calls is as it states."""
        request = requestfile.require_stands(self.desk, step, self.package.request_file, gives=True)
        roles = self.desk.roles(step.past)
        for named in request.calls:
            wanted = self._inputs(named.call_id)
            basis = Basis(callproof.load_signers(wanted.signers, self.desk), roles, wanted.closings, wanted.logs)
            call = checkedcall.require_verified(wanted.folder, basis, with_audio=False)
            requestfile.require_named(request, call, roles)

    def close(self) -> None:
        """`linetap release close`: destroys the one-time key and the data in memory."""
        with self._one_at_a_time:
            key = self.one_time_key
            if key is None:
                raise BadInput(f"none of the identities is the one-time key of request {self.request.id}")
            requesting.close_request(
                argparse.Namespace(request_id=self.request.id, key=key, desk=self.desk.folder), self._clock
            )
            self._opened.clear()
            self.spans.clear()

    @property
    def _recipient(self) -> str:
        return self.means.recipient or self.request.recipient

    def _previous_custodian_file(self, call_id: str) -> Path | None:
        """The previous custodian's file; None for the custodian with the one-time key, who begins."""
        return self.package.handed(call_id) if self.one_time_key is None else None

    def _inputs(self, call_id: str) -> OpeningInputs:
        return OpeningInputs(
            folder=self.package.call(call_id),
            signers=self.means.signers,
            identities=self.means.identities,
            inner=self._previous_custodian_file(call_id) or self.package.inner(call_id),
            request=self.package.request_file,
            recipient=self._recipient,
            closings=[] if self.means.logs else self.package.closings(),
            logs=self.means.logs,
            rules=options.of_desk(self.desk.folder),
        )


def numbers(record: CallRecord) -> list[str]:
    """The number of the other party, the caller or the called one. Empty if unknown."""
    if record.direction == "out":
        return [record.dialled] if record.dialled else []
    return [record.caller.number] if record.caller and record.caller.number else []


def _opened_call(unlocked: Unlocked) -> OpenedCall:
    pcm, at = np.zeros(unlocked.samples, np.int16), 0
    with contextlib.closing(unlocked.audio()) as audio:
        for block in audio:
            pcm[at : at + len(block)] = block
            at += len(block)
    try:
        record = msgspec.convert(unlocked.record, CallRecord)
    except msgspec.ValidationError as error:
        raise Refusal(f"{unlocked.call.record.call_id}: {sealed.META} is no record: {error}") from None
    return OpenedCall(
        record=record,
        pcm=pcm,
        peaks=sound.peaks(pcm),
        moments=moments(record, len(pcm)),
        began_ns=began_ns(record, len(pcm)),
        witnessed=unlocked.call.witnessed,
        amended=unlocked.call.amended,
        unamended=unlocked.call.unamended,
    )
