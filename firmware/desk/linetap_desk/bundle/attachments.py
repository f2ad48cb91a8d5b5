# SPDX-License-Identifier: Apache-2.0
"""What a bundle has beside the calls: documents that others signed about them, closings, and opened recordings."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from linetap_core.durable import signedfile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import amendment, hold, sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.closing import closing_path
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness.tlogproof import Proof
from linetap_core.records import CallRecord
from linetap_desk import foreign
from linetap_desk.bundle import layout
from linetap_desk.bundle.container import Source
from linetap_desk.ceremony import certificate as certificates
from linetap_desk.proofs import amended, callfolder
from linetap_desk.proofs.sigsum import POLICY, SUFFIX
from linetap_desk.proofs.verdict import Verdict
from linetap_desk.witnessing import prove
from linetap_desk.witnessing.judge import Rules

_JSON_LIMIT_BYTES = 1 << 20

Found = Iterator[tuple[str, Source]]


class NotBundled(Refusal):
    """Something of the calls is invalid or missing: half the evidence is none."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} [{code}]")
        self.code = code


def documents(args: argparse.Namespace, record: CallRecord, call_dir: Path) -> Found:
    """A call's amendment; and, if requested, its hold, Sigsum proof and the certificate of its day's destroyed key."""
    call_id = call_dir.name
    if (path := amended.path_of_newest(amended.home(call_dir), call_id)) is not None:
        yield from _with_signature(layout.amended(call_id), path, amendment.LIMIT_BYTES)
    epoch = record.retention.epoch if record.retention else ""
    path = certificates.path_of(args.certificates, epoch) if args.certificates and epoch else None
    if path is not None and path.exists():
        yield from _with_signature(layout.certificate(epoch), path, certificates.LIMIT_BYTES)
    for name in (hold.HOLD, hold.REWRAP) if args.holds else ():
        if (args.holds / call_id / name).exists():
            yield from _with_signature(layout.kept(call_id, name), args.holds / call_id / name, hold.LIMIT_BYTES)
            break
    if args.sigsum is not None:
        data = small(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
        armored = small(call_dir / sealed.SIGNATURE, sshsig.SIGNATURE_LIMIT_BYTES)
        line = keys.public_line(sshsig.check(data, armored, namespaces.RECORD)) + "\n"
        yield layout.sigsum(call_id, ".pub"), line.encode("ascii")
        yield layout.sigsum(call_id, SUFFIX), small(args.sigsum / (call_id + SUFFIX), _JSON_LIMIT_BYTES)
        yield layout.POLICY, small(args.sigsum / POLICY, _JSON_LIMIT_BYTES)


def _with_signature(name: str, path: Path, limit_bytes: int) -> Found:
    yield name, small(path, limit_bytes)
    yield name + namespaces.SUFFIX, small(signedfile.signature_of(path), sshsig.SIGNATURE_LIMIT_BYTES)


def opened(wavs: list[Path], call_ids: set[str]) -> Found:
    """call.wav, and the call.json beside it, which names its call."""
    for wav in wavs:
        data = small(wav.with_suffix(".json"), _JSON_LIMIT_BYTES)
        try:
            call_id = foreign.decode(data, dict[str, object]).get("call_id")
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{wav.with_suffix('.json')}: {error}") from None
        if call_id not in call_ids:
            raise NotBundled("other_call", f"{wav}: is of {call_id}, which is none of these calls")
        yield layout.opened(str(call_id), "call.wav"), wav
        yield layout.opened(str(call_id), "call.json"), data


def small(path: Path, limit_bytes: int) -> bytes:
    """A file named by the user; BadInput says what is wrong with it."""
    try:
        return callfolder.read(path, limit_bytes)
    except callfolder.Damaged as error:
        raise BadInput(f"{path}: {error}") from None


def given_closings(args: argparse.Namespace) -> dict[str, Path]:
    """Call id -> the file given by --closing, named after it."""
    found: dict[str, Path] = {}
    for path in args.closing:
        call_id = path.name.removesuffix(closing.SUFFIX)
        if sealed.CALL_ID.fullmatch(call_id) is None or call_id in found:
            raise BadInput(f"--closing {path}: CALL_ID{closing.SUFFIX} would be right, one of each call")
        found[call_id] = path
    return found


def stored_closing(call_dir: Path) -> Path | None:
    """The call's closing in a desk's store, if the call lies in one."""
    path = callfolder.home(call_dir) / closing_path(call_dir.name)
    return path if path.is_file() else None


def gather_closings(
    unit: str, chosen: list[tuple[Path, Verdict]], signers: list[Signer], rules: Rules, folders: dict[str, Path]
) -> dict[str, Source]:
    """For calls whose unit's log is not here: each has its closing (evidence/merklelog/closing.py) in its place.

    `chosen`: closing and verdict of each call of the unit. NotBundled unless each proves its call.
    """
    sources: dict[str, Source] = {}
    for path, verdict in chosen:
        found = _proved(path, unit, verdict, signers)
        head = layout.head(unit, layout.HEAD)
        own: dict[str, Source] = {head: found.head.encode("utf-8"), head + namespaces.SUFFIX: found.sig.encode("utf-8")}
        if sources.get(head, own[head]) != own[head]:
            text = f"two calls of {unit} under two heads: --log with its log, or a bundle of each, would be right"
            raise NotBundled("two_heads", text)
        own[layout.leaf(unit, verdict.name)] = found.leaf.encode("utf-8")
        own[layout.path(unit, layout.HEAD, verdict.name)] = found.path.encode("utf-8")
        if (proof := _witnessed(rules, found, unit, signers, folders[verdict.name])) is not None:
            own[layout.witnessed(unit, verdict.name)] = proof.encode()
        sources |= own
    return sources


def _witnessed(rules: Rules, found: closing.Closing, unit: str, signers: list[Signer], call_dir: Path) -> Proof | None:
    """From the call's store or package, otherwise from a kept checkpoint over the closing's own head."""
    path = prove.beside(call_dir)
    if rules.policy is None or path is None:
        return prove.from_closing(rules, found, unit, signers)
    proof = prove.read(path)
    return Proof(proof.index, proof.path, prove.trimmed(rules.policy, proof.note))


def _proved(path: Path, unit: str, verdict: Verdict, signers: list[Signer]) -> closing.Closing:
    try:
        found = closing.decode(small(path, closing.LIMIT_BYTES))
        closing.check(found, unit, verdict.name, verdict.record_sha256 or "", signers)
    except Refusal as error:
        raise NotBundled(error.code, f"{path}: {error}") from None
    return found
