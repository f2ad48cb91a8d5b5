# SPDX-License-Identifier: Apache-2.0
"""Collects the members of a bundle: calls, the proofs that their units' logs contain them, closings, related documents,
and opened recordings."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from linetap_core.clock import parse_rfc3339
from linetap_core.durable import signedfile
from linetap_core.errors import BadInput, Refusal, ShownRefusal
from linetap_core.evidence.calls import amendment, hold, sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing, leaflog, unitlog
from linetap_core.evidence.merklelog.closing import Inclusion, closing_path
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.nodefile import TREE, FileNodes
from linetap_core.evidence.merklelog.unitlog import HEAD, Head, Leaf
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import tlogproof
from linetap_core.evidence.witness.tlogproof import Proof
from linetap_core.records import CallRecord
from linetap_desk.bundle import layout
from linetap_desk.bundle.container import Source
from linetap_desk.bundle.report import CA_LIMIT_BYTES
from linetap_desk.ceremony import certificate as certificates
from linetap_desk.copy.recordfile import DeskHolds, read_holds
from linetap_desk.inputs import strict
from linetap_desk.proofs import amendments, callfolder
from linetap_desk.proofs.callfolder import read_named
from linetap_desk.proofs.verdict import Verdict
from linetap_desk.proofs.verifycall import verify_call
from linetap_desk.vaultproofs.sigsum import POLICY, SUFFIX
from linetap_desk.vaultproofs.verifylog import LogCheck
from linetap_desk.witnessing import prove, signedheads, timestamp
from linetap_desk.witnessing.judge import Rules
from linetap_desk.witnessing.signedheads import WITNESS_SUFFIX
from linetap_desk.witnessing.timestamp import TOKEN_LIMIT_BYTES, TOKEN_SUFFIX

_JSON_LIMIT_BYTES = 1 << 20

Found = Iterator[tuple[str, Source]]


class NotBundled(ShownRefusal):
    """A call or a proof is invalid or missing: incomplete evidence is not bundled."""


def documents(args: argparse.Namespace, verdict: Verdict, call_dir: Path, held: DeskHolds) -> Found:
    """A call's amendment; and, if requested, its hold or re-wrapping with the key, Sigsum proof and the certificates
    of its day's destroyed keys, with both people's signatures."""
    record = _record(verdict)
    call_id = call_dir.name
    if (path := amendments.path_of_newest(amendments.home(call_dir), call_id)) is not None:
        yield from _with_signature(layout.amended(call_id), path, amendment.LIMIT_BYTES)
    epoch = record.retention.epoch if record.retention else ""
    for path in certificates.paths_of(args.certificates, epoch) if args.certificates and epoch else []:
        if path.exists():
            yield from _with_signature(layout.certificate(path.name), path, certificates.LIMIT_BYTES)
            if (second := certificates.second_of(path)).exists():
                yield layout.certificate(second.name), read_named(second, sshsig.SIGNATURE_LIMIT_BYTES)
    if args.holds and (path := _hold_or_rewrapping(args.holds, call_id, verdict.record_sha256, held)) is not None:
        yield from _with_signature(layout.hold_member(call_id, path.name), path, hold.LIMIT_BYTES)
        key = path.with_name(sealed.KEY)  # the call's own key may be destroyed with its day
        yield layout.hold_member(call_id, sealed.KEY), read_named(key, callfolder.KEY_LIMIT_BYTES)
    if args.sigsum is not None:
        data = read_named(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
        armored = read_named(call_dir / sealed.SIGNATURE, sshsig.SIGNATURE_LIMIT_BYTES)
        line = keys.public_line(sshsig.check(data, armored, namespaces.RECORD)) + "\n"
        yield layout.sigsum(call_id, ".pub"), line.encode("ascii")
        yield layout.sigsum(call_id, SUFFIX), read_named(args.sigsum / (call_id + SUFFIX), _JSON_LIMIT_BYTES)
        yield layout.POLICY, read_named(args.sigsum / POLICY, _JSON_LIMIT_BYTES)


def _hold_or_rewrapping(folder: Path, call_id: str, record_sha256: str | None, held: DeskHolds) -> Path | None:
    """The hold of this record that ends last, in a folder of any name, else the re-wrapping; None without both."""
    found: dict[str, Path] = {}
    for path in held.paths.get(call_id, ()):
        document = hold.decode(read_named(path, hold.LIMIT_BYTES))
        if document.record_sha256 == record_sha256:
            found[document.until] = path
    if found:
        return found[max(found, key=parse_rfc3339)]
    named = (folder / call_id / name for name in (hold.HOLD, hold.REWRAP))
    return next((path for path in named if path.exists()), None)


def json_of(wav: Path) -> Path:
    """The call.json of an opened recording."""
    return wav.with_suffix(".json")


def _with_signature(name: str, path: Path, limit_bytes: int) -> Found:
    yield name, read_named(path, limit_bytes)
    yield name + namespaces.SUFFIX, read_named(signedfile.signature_of(path), sshsig.SIGNATURE_LIMIT_BYTES)


def opened(wavs: list[Path], call_ids: set[str]) -> Found:
    """call.wav, and the call.json beside it, which names its call."""
    for wav in wavs:
        data = read_named(json_of(wav), _JSON_LIMIT_BYTES)
        try:
            call_id = strict.decode(data, dict[str, object]).get("call_id")
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{json_of(wav)}: {error}") from None
        if call_id not in call_ids:
            raise NotBundled("other_call", f"{wav}: is of {call_id}, which is none of these calls")
        yield layout.opened(str(call_id), "call.wav"), wav
        yield layout.opened(str(call_id), "call.json"), data


def given_closings(args: argparse.Namespace) -> dict[str, Path]:
    """Call id -> the file given by --closing, named after it."""
    found: dict[str, Path] = {}
    for path in args.closing:
        call_id = path.name.removesuffix(closing.SUFFIX)
        if sealed.CALL_ID.fullmatch(call_id) is None or call_id in found:
            raise BadInput(f"--closing {path}: CALL_ID{closing.SUFFIX} expected, one of each call")
        found[call_id] = path
    return found


def stored_closing(call_dir: Path) -> Path | None:
    """The call's closing in a desk's store, if the call is in one."""
    path = callfolder.home(call_dir) / closing_path(call_dir.name)
    return path if path.is_file() else None


def gather_closings(
    unit: str, chosen: list[tuple[Path, Verdict]], signers: list[Signer], rules: Rules, folders: dict[str, Path]
) -> dict[str, Source]:
    """The closings (evidence/merklelog/closing.py) of one unit's calls, if its log is not here.

    `chosen`: closing and verdict of each call of the unit. NotBundled unless each proves its call.
    """
    sources: dict[str, Source] = {}
    for path, verdict in chosen:
        found = _closing_proof(path, unit, verdict, signers)
        head = layout.head(unit, layout.HEAD)
        own: dict[str, Source] = {head: found.head.encode("utf-8"), head + namespaces.SUFFIX: found.sig.encode("utf-8")}
        if sources.get(head, own[head]) != own[head]:
            text = f"two calls of {unit} under two heads: --log with its log, or a bundle of each expected"
            raise NotBundled("two_heads", text)
        own[layout.leaf(unit, verdict.name)] = found.leaf.encode("utf-8")
        own[layout.path(unit, layout.HEAD, verdict.name)] = found.path.encode("utf-8")
        if found.end:
            own[layout.end(unit, verdict.name)] = found.end.encode("utf-8")
            own[layout.end_path(unit, layout.HEAD, verdict.name)] = found.end_path.encode("utf-8")
        if (proof := _witness_proof(rules, found, unit, signers, folders[verdict.name])) is not None:
            own[layout.witnessed(unit, verdict.name)] = proof.encode()
        sources |= own
    return sources


def _witness_proof(
    rules: Rules, found: closing.Closing, unit: str, signers: list[Signer], call_dir: Path
) -> Proof | None:
    """The proof in the call's store or package, otherwise by a kept checkpoint over the closing's head."""
    path = prove.find_proof(call_dir)
    if rules.policy is None or path is None:
        return prove.from_closing(rules, found, unit, signers)
    proof = prove.read_proof(path)
    return Proof(proof.index, proof.path, prove.trimmed(rules.policy, proof.note))


def _closing_proof(path: Path, unit: str, verdict: Verdict, signers: list[Signer]) -> closing.Closing:
    try:
        found = closing.decode(read_named(path, closing.LIMIT_BYTES))
        closing.check(found, unit, verdict.name, verdict.record_sha256 or "", signers)
    except Refusal as error:
        raise NotBundled(error.code, f"{path}: {error}") from None
    return found


def calls(args: argparse.Namespace, signers: list[Signer]) -> list[tuple[Path, Verdict]]:
    """Every call folder with its verdict, by call id. NotBundled unless a named signer sealed it and it is
    unchanged."""
    found = {}
    for given in args.calls:
        path = given.resolve()
        if not path.is_dir():
            raise BadInput(f"{given}: not a folder; a call folder expected")
        verdict = verify_call(path, signers)
        for problem in verdict.problems:
            raise NotBundled(problem.code, f"{given}: {problem.text}")
        if path.name in found:
            raise BadInput(f"{given}: is named twice")
        found[path.name] = (path, verdict)
    return [found[call_id] for call_id in sorted(found)]


def gather(
    args: argparse.Namespace, signers: list[Signer], chosen: list[tuple[Path, Verdict]], rules: Rules
) -> dict[str, Source]:
    """Name -> file or bytes, except for derived members (report, script, sums, signers)."""
    sources: dict[str, Source] = {}
    folders = {path.name: path for path, _ in chosen}
    held = DeskHolds() if args.holds is None else read_holds(args.holds)
    if held.unread:
        raise BadInput(f"--holds {held.unread}")
    for path, verdict in chosen:
        sources |= {layout.call(path.name, name): path / name for name in callfolder.entries(path)}
        sources |= documents(args, verdict, path, held)
    witnesses = {signedheads.read_cosigned(path, signers).unit: path for path in args.witness}
    logs, closed = _logs(args, chosen, signers)
    for unit, found in closed.items():
        if unit in witnesses or args.stamps is not None:
            raise BadInput(f"--witness, --stamps: {unit} has its log elsewhere: --log with it expected")
        sources |= gather_closings(unit, found, signers, rules, folders)
    for unit, log in logs.items():
        ours = [verdict for _, verdict in chosen if _record(verdict).unit == unit]
        sources |= _log_sources(args, log, witnesses.pop(unit, None), signers, ours, rules)
    for unit in witnesses:
        raise BadInput(f"--witness: a head of {unit}, of which there is no call")
    if any(tlogproof.SUFFIX in name for name in sources) and rules.policy is not None:
        sources[layout.QUORUM] = "".join(f"{line}\n" for line in rules.policy.lines()).encode("ascii")
    sources |= opened(args.wav, set(folders))
    return sources


def _record(verdict: Verdict) -> CallRecord:
    if verdict.record is None:  # a call without problems has a record
        raise NotBundled("not_verified", verdict.name)
    return verdict.record


def _logs(
    args: argparse.Namespace, chosen: list[tuple[Path, Verdict]], signers: list[Signer]
) -> tuple[dict[str, Path], dict[str, list[tuple[Path, Verdict]]]]:
    """Unit -> log folder, from --log, else from the vault that contains its calls; and the closings for the other
    units."""
    given = {signedheads.read_head(path / HEAD, signers).head.unit: path for path in args.log}
    named = given_closings(args)
    logs: dict[str, Path] = {}
    closed: dict[str, list[tuple[Path, Verdict]]] = {}
    for path, verdict in chosen:
        unit, named_here = _record(verdict).unit, named.pop(path.name, None)
        log = given.get(unit, callfolder.home(path) / unitlog.FOLDER)
        if unit not in given and (closing := named_here or _stored_closing(path, log)) is not None:
            closed.setdefault(unit, []).append((closing, verdict))
        elif (log / HEAD).is_file():
            logs[unit] = log
        else:
            raise BadInput(f"{path}: {log} is no log of its unit: --log with the vault's expected, or --closing")
    for unit in given.keys() - logs.keys():
        raise BadInput(f"--log: of {unit}, of which there is no call")
    for call_id in named:
        raise BadInput(f"--closing: of {call_id}, which is none of these calls")
    for unit in logs.keys() & closed.keys():
        raise BadInput(f"--closing: of some calls of {unit} only: --log with its log expected")
    return logs, closed


def _stored_closing(call_dir: Path, log: Path) -> Path | None:
    return None if (log / HEAD).is_file() else stored_closing(call_dir)


def _log_sources(
    args: argparse.Namespace, log: Path, witness: Path | None, signers: list[Signer], ours: list[Verdict], rules: Rules
) -> dict[str, Source]:
    check = LogCheck(log, signers, witness, rules)
    against = [*check.witnesses.log_problems, *(problem for verdict in ours for problem in check.problems_of(verdict))]
    if check.head is None or not check.good or against:
        code, text = (against[0].code, against[0].text) if against else ("log_damaged", "the log is not in order")
        raise NotBundled(code, f"{log}: {text}: `linetap verify` of its vault gives details")
    unit, (leaves, ends) = check.head.unit, _leaves(log, {verdict.name for verdict in ours})
    last = max(index for index, _ in leaves.values())
    heads = {layout.HEAD: log / HEAD}
    sources: dict[str, Source] = {}
    if witness is not None:
        heads[layout.WITNESS] = witness
        sources[layout.head(unit, layout.WITNESS) + WITNESS_SUFFIX] = witness.with_name(witness.name + WITNESS_SUFFIX)
    if args.stamps is not None:
        heads[layout.STAMP] = stamped = _first_stamped_head(args.stamps, check.head, last, signers)
        token = stamped.with_name(stamped.name + TOKEN_SUFFIX)
        sources[layout.head(unit, layout.STAMP) + TOKEN_SUFFIX] = callfolder.read(token, TOKEN_LIMIT_BYTES)
        sources[layout.ca(unit)] = layout.exact_certificates(read_named(args.tsa_ca, CA_LIMIT_BYTES), str(args.tsa_ca))
    nodes = FileNodes(log / TREE, writable=False)
    try:
        tree = Tree(nodes, check.head.size)
        for kind, path in heads.items():
            read = signedheads.read_head(path, signers)
            sources[layout.head(unit, kind)] = read.data
            sources[layout.head(unit, kind) + namespaces.SUFFIX] = read.signature
            sources |= _paths(tree, kind, read.head, leaves, layout.path)
            sources |= _paths(tree, kind, read.head, ends, layout.end_path)
    finally:
        nodes.close()
    kept = prove.witnessed_heads(rules, unit, signers, log=check.head.log)
    for call_id, (index, _) in leaves.items():
        if (proof := prove.first_witnessed_proof(kept, rules, log, index)) is not None:
            sources[layout.witnessed(unit, call_id)] = proof.encode()
    sources |= {layout.leaf(unit, call_id): line for call_id, (_, line) in leaves.items()}
    return sources | {layout.end(unit, call_id): line for call_id, (_, line) in ends.items()}


Leaves = dict[str, tuple[int, bytes]]  # call id -> index and line of a leaf


def _paths(
    tree: Tree, kind: str, head: Head, leaves: Leaves, name_of: Callable[[str, str, str], str]
) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for call_id, (index, _) in leaves.items():
        if index >= head.size:
            raise NotBundled(f"not_under_{kind}", f"{call_id}: was closed after the {kind}'s head of {head.at}")
        path = Inclusion(index, head.size, tuple(tree.inclusion(index, head.size)))
        found[name_of(head.unit, kind, call_id)] = path.encode()
    return found


def _leaves(log: Path, wanted: set[str]) -> tuple[Leaves, Leaves]:
    """The closes of the calls, and their ends."""
    found: dict[str, Leaves] = {"close": {}, "end": {}}
    for index, line in enumerate(leaflog.lines_of(log / LEAVES)):
        leaf = strict.decode(line, Leaf, log / LEAVES)
        if leaf.kind in found and leaf.call_id in wanted:
            found[leaf.kind][str(leaf.call_id)] = (index, line)
    return found["close"], found["end"]


def _first_stamped_head(folder: Path, of: Head, last: int, signers: list[Signer]) -> Path:
    """The first stamped head of this log that covers leaf `last`: the earliest evidence that all calls existed."""
    for path in timestamp.stamped_paths(folder, of.unit):
        head = signedheads.read_head(path, signers).head
        if (head.unit, head.log) == (of.unit, of.log) and head.size > last:
            return path
    raise NotBundled("not_stamped", f"{folder}: no stamped head of {of.unit} covers these calls")
