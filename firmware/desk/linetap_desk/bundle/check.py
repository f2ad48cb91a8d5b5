# SPDX-License-Identifier: Apache-2.0
"""Verifies a bundle: the zip itself, every call in it, and the consistency of all members.

A bundle is not trusted by itself: the external signers' file determines which signatures count, and the external CA
which time stamps.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.unitlog import Head
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.signers import Signer, require_named, require_trust
from linetap_core.evidence.witness.quorum import NONE
from linetap_desk.bundle import container, facts, layout, misplaced, recipe, report
from linetap_desk.bundle.container import BadBundle, Member, Source
from linetap_desk.bundle.facts import EvidenceFacts, Signed
from linetap_desk.proofs import headtime
from linetap_desk.proofs.verdict import Problem, Verdict
from linetap_desk.proofs.verifycall import verify_call
from linetap_desk.unsealing.wav import header
from linetap_desk.vaultproofs import sigsum
from linetap_desk.witnessing import judge, prove
from linetap_desk.witnessing.judge import NO_POLICY, NO_RULES, NOBODY, NOT_WITNESSED, Rules
from linetap_desk.witnessing.timestamp import TOKEN_SUFFIX

NAME, STAMP = "bundle", "time stamp"  # begin a verdict's name
_WAV = "/call.wav"  # a bundle's decrypted audio is never written to disk


def verify_bundle(
    path: Path,
    signers: list[Signer] | None,
    ca: Path | None = None,
    rules: Rules = NO_RULES,
    *,
    must_be_stamped: bool = True,
) -> Iterator[Verdict]:
    """A verdict for every call, one for the bundle as a whole, one of the witnesses, and one for each time stamp.
    BadInput for a `ca` without a time stamp, if it `must_be_stamped`."""
    bundle = Verdict(f"{NAME} {path.name}")
    with path.open("rb") as file, tempfile.TemporaryDirectory(prefix="linetap-bundle-") as folder:
        try:
            members = _members(file)
            sources = _unpack(file, members, Path(folder))
        except Refusal as error:
            bundle.add(error)
            yield bundle
            return
        for call_id in layout.call_ids(sources):
            yield verify_call(Path(folder) / "calls" / call_id, signers)
        try:
            found = facts.load(sources)
            _together(bundle, found, sources, signers)
            _check_opened(file, found, {member.name: member for member in members})
            bundle.name = f"{NAME} {path.name}, {len(members)} files"
        except Refusal as error:
            bundle.add(error)
            yield bundle
            return
        yield bundle
        yield Verdict(f"not covered, and not to be believed: {_unsigned_member(found)}", counts=False)
        for name, head in _heads(found):
            if (text := headtime.ahead(name, head.at)) is not None:
                yield Verdict(text, counts=False)
        stamped = sorted(unit for unit, heads in found.heads.items() if layout.STAMP in heads)
        is_unused = ca is not None and not stamped and must_be_stamped
        if is_unused and not bundle.problems:  # otherwise it may have been removed
            raise BadInput(f"--ca: there is no time stamp in {path.name}")
        for unit in stamped:
            yield _stamp(sources, unit, ca)
        yield _witness_verdict(found, rules, signers or [])


def _members(file: BinaryIO) -> list[Member]:
    try:
        return container.read(file)
    except BadBundle as error:
        raise BadBundle(error.code, misplaced.in_zip(file, error)) from None


def _unsigned_member(found: EvidenceFacts) -> str:
    """The members without a signature. Sums and reports are derived from the others and compared; all others are signed
    or hashed."""
    text = f"the case in {layout.ABOUT}, the copy {layout.SIGNERS}"
    for unit, heads in found.heads.items():
        if layout.STAMP in heads:
            token = layout.head(unit, layout.STAMP) + TOKEN_SUFFIX
            text += f", the copy {layout.ca(unit)}, the parts around the authority's signature in {token}"
    for call in found.calls:
        if call.opened:
            wav, whole = (layout.opened(call.record.call_id, name) for name in ("call.wav", "call.json"))
            text += f", the sound of {wav}, the numbers and names in {whole}"
    return text


def _heads(found: EvidenceFacts) -> Iterator[tuple[str, Head]]:
    for unit, heads in found.heads.items():
        for kind, head in heads.items():
            yield layout.head(unit, kind), head


def _witness_verdict(found: EvidenceFacts, rules: Rules, signers: list[Signer]) -> Verdict:
    """The verdict by the verifier's policy. The bundle's own policy only states the requirements when it was made."""
    own = ", despite a policy in it" if found.policy is not None and found.policy.quorum != NONE else ""
    if rules.policy is None:
        return Verdict(f"witness: {NO_POLICY}{own}", counts=False)
    verdict = Verdict("witness", trusted=True, counts=rules.required)
    for call in found.calls:
        call_id = call.record.call_id
        seen, problem = prove.call_against(rules, call.witnessed, call.line, call.close.at, call.record, signers)
        if problem is not None and (rules.required or problem.code != NOT_WITNESSED):
            verdict.problems.append(problem)
        elif problem is None:
            verdict.notes += [f"{call_id}: {note}" for note in judge.late(seen, max(judge.moments(call.record)))]
        verdict.counts = rules.required or bool(verdict.problems)
        verdict.name += f"; {call_id}: {NOBODY if seen is None else seen.text}"
    return verdict


def _unpack(file: BinaryIO, members: list[Member], folder: Path) -> dict[str, Source]:
    """Unpacks every member except the decrypted audio into `folder`, if all match SHA256SUMS."""
    sources: dict[str, Source] = {}
    measured = []
    for member in members:
        state = hashlib.sha256()
        with _writing(folder), contextlib.ExitStack() as stack:
            output = None if member.name.endswith(_WAV) else stack.enter_context(_create(folder / member.name))
            for block in container.content(file, member):
                state.update(block)
                if output is not None:
                    output.write(block)
        sources[member.name] = b"" if output is None else folder / member.name
        measured.append(Member(member.name, member.size, member.crc, state.hexdigest()))
    wanted = layout.sums(measured)
    if layout.read(sources, layout.SUMS, layout.SUMS_LIMIT_BYTES) != wanted:
        raise BadBundle("sums", f"{layout.SUMS} does not list the files: one was changed, removed or added")
    return sources


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Names the folder for temporary files, if it is too small for the bundle."""
    try:
        yield
    except OSError as error:
        if isinstance(error, LinetapError):
            raise
        text = f"{error.strerror}; a bundle is unpacked there to be verified: TMPDIR with another folder expected"
        raise BadInput(f"{folder.parent}: {text}") from None


def _create(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except (FileExistsError, NotADirectoryError):
        raise BadBundle("zip_name", f"{path.name}: a file where a folder is, or the other way round") from None


def _together(
    verdict: Verdict, found: EvidenceFacts, sources: Mapping[str, Source], signers: list[Signer] | None
) -> None:
    expected = _expected_names(found, sources)
    for name in sorted(sources.keys() - expected):
        verdict.problems.append(Problem("extra_member", f"{name} does not belong in this bundle"))
    for name in sorted(expected - sources.keys()):
        verdict.problems.append(Problem("missing_member", f"{name} is missing"))
    named = layout.read(sources, layout.SIGNERS, report.SIGNERS_LIMIT_BYTES)
    if report.signer_lines(found, named) != named:
        verdict.problems.append(Problem("signers", f"{layout.SIGNERS} names a key that has signed nothing here"))
    about = found.about
    present = (layout.TEXTS, layout.CHECKER_VERSION)
    if (about.texts, about.checker) != present:
        text = f"its reports were written with texts {about.texts} and name checker {about.checker}"
        verdict.problems.append(Problem("other_texts", f"{text}, {present} in this version: not compared"))
    else:
        for name, data in report.derived(sources, found).items():
            if name in sources and not layout.holds(sources[name], data):
                verdict.problems.append(Problem("report", f"{name} is not what this bundle's records make"))
    report.require_kept(found, named)
    for call in found.calls:
        if call.proven:
            _check_sigsum(sources, call)
    if signers is not None:
        for signed in found.signed:
            _require_trust(signed, signers)
        verdict.trusted = True


def _require_trust(signed: Signed, signers: list[Signer]) -> None:
    try:
        if signed.who:
            require_trust(signed.key, signed.namespace, signers, signed.who, recipe.time_of(signed, signers))
        else:
            require_named(signed.key, signed.namespace, signers, signed.at)
    except Refusal as error:
        raise BadBundle(error.code, f"{signed.name}: {error}") from None


def _expected_names(found: EvidenceFacts, sources: Mapping[str, Source]) -> set[str]:
    """The names that this bundle must have; verify_call checks those in a call's own folder."""
    names = {layout.ABOUT, layout.SUMS, layout.SIGNERS, *layout.REPORTS.values()}
    names |= {name for each in found.signed for name in (each.name, each.signature)}
    for call in found.calls:
        call_id, unit = call.record.call_id, call.record.unit
        names |= {name for name in sources if name.startswith(layout.call(call_id, ""))}
        names |= {layout.leaf(unit, call_id), *(layout.path(unit, kind, call_id) for kind in call.paths)}
        if call.ended is not None:
            names |= {layout.end(unit, call_id), *(layout.end_path(unit, kind, call_id) for kind in call.paths)}
        if call.opened:
            names |= {layout.opened(call_id, "call.wav"), layout.opened(call_id, "call.json")}
        if call.proven:
            names |= {layout.sigsum(call_id, ".proof"), layout.sigsum(call_id, ".pub"), layout.POLICY}
        if call.witnessed is not None:
            names |= {layout.QUORUM, layout.witnessed(unit, call_id)}
        if call.kept is not None:
            kept = layout.hold_member(call_id, hold.HOLD if isinstance(call.kept, hold.Hold) else hold.REWRAP)
            names |= {kept, kept + namespaces.SUFFIX, layout.hold_member(call_id, sealed.KEY)}
    for unit, heads in found.heads.items():
        if layout.STAMP in heads:
            names |= {layout.head(unit, layout.STAMP) + TOKEN_SUFFIX, layout.ca(unit)}
    return names


def _check_opened(file: BinaryIO, found: EvidenceFacts, members: Mapping[str, Member]) -> None:
    """Requires a WAV with as many samples as the signed record states. Only the keys can prove their content."""
    for call in found.calls:
        member = members.get(layout.opened(call.record.call_id, "call.wav"))
        if not call.opened or member is None:
            continue  # a missing member is reported elsewhere
        samples = call.record.audio.samples if call.record.audio else 0
        wanted = header(samples)
        file.seek(member.offset)
        if file.read(len(wanted)) != wanted or member.size != len(wanted) + 2 * samples:
            raise BadBundle("wav", f"{member.name}: is not a WAV of the {samples} samples that the record names")


def _check_sigsum(sources: Mapping[str, Source], call: facts.Call) -> None:
    call_id = call.record.call_id
    line = layout.read(sources, layout.sigsum(call_id, ".pub"), 4096)
    if line != (keys.public_line(call.signed.key) + "\n").encode("ascii"):
        raise BadBundle("sigsum", f"{layout.sigsum(call_id, '.pub')}: is not the key that signed the record")
    record = layout.read(sources, layout.call(call_id, sealed.RECORD), sealed.RECORD_LIMIT_BYTES)
    proof = layout.read(sources, layout.sigsum(call_id, ".proof"), sigsum.STOCK_LIMIT_BYTES)
    policy = layout.read(sources, layout.POLICY, sigsum.STOCK_LIMIT_BYTES)
    layout.require_exact_policy(policy, layout.POLICY)
    sigsum.require_stock_proof(record, proof, policy, line, call_id)


def _stamp(sources: Mapping[str, Source], unit: str, ca: Path | None) -> Verdict:
    verdict = Verdict(f"{STAMP} of {unit}", trusted=ca is not None)
    try:
        stamped = report.stamped(sources, unit, None)  # the copy of the CA belongs to it
        verdict.name += f", {stamped if ca is None else report.stamped(sources, unit, ca)}"
    except Refusal as error:
        verdict.add(error)
    return verdict
