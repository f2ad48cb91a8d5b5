# SPDX-License-Identifier: Apache-2.0
"""`linetap sigsum`: makes a proof that a call is in its unit's log, for the stock command `sigsum-verify`.

The tree contains the log's closes, in their order. The desk's key signs it if the log itself is valid. For cosignatures
by witnesses each unit's tree needs its own key, since a witness identifies a log by its key.
"""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linetap_core import absent
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import leaflog
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.evidence.witness import checkpoint, tlogproof
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.callfolder import load_private_key
from linetap_desk.vaultproofs.verifylog import LogCheck
from linetap_desk.witnessing import carry, client, options, signedheads

SUFFIX = ".proof"
POLICY = "policy"
CHECKPOINTS = "checkpoints"  # of this tree, in the proofs' folder


class NotProven(Refusal):
    code = "not_proven"


def closes(
    log: Path, submitters: list[Ed25519PublicKey], desk: Ed25519PrivateKey | None = None
) -> Iterator[tuple[str, bytes]]:
    """Call id and Sigsum leaf of every close. NotProven if none of the keys signed one.

    `desk`: submits for a unit whose key is in hardware and cannot sign for Sigsum, if the log is valid.
    """
    for line in leaflog.lines_of(log / LEAVES):
        leaf = strict.decode(line, Leaf, log / LEAVES)
        if leaf.kind == "close":
            call_id = leaf.call_id or ""
            yield call_id, _sigsum_leaf(leaf, submitters, call_id, desk)


def _sigsum_leaf(
    close: Leaf, submitters: list[Ed25519PublicKey], call_id: str, desk: Ed25519PrivateKey | None
) -> bytes:
    try:
        record, signature = (
            bytes.fromhex(close.record_sha256 or ""),
            base64.b64decode(close.sigsum or "", validate=True),
        )
    except ValueError:
        raise NotProven(f"{call_id}: its close holds no signature for Sigsum") from None
    if not signature and desk is not None:
        signature, submitters = tlogproof.sign_leaf(record, desk), [desk.public_key()]
    leaves = (tlogproof.leaf(record, signature, submitter) for submitter in submitters)
    signed_leaf = next((signed_leaf for signed_leaf in leaves if signed_leaf is not None), None)
    if signed_leaf is None:
        raise NotProven(f"{call_id}: the signature for Sigsum in its close is of no key in the signers' file")
    return signed_leaf


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("call", nargs="+", metavar="CALL_ID", help="or the call's folder")
    parser.add_argument("--log", type=Path, required=True, metavar="DIR", help="the log folder of the vault")
    parser.add_argument("--key", type=Path, required=True, help="the desk's key, from `linetap keygen unit`")
    parser.add_argument("--signers", type=Path, required=True, metavar="ALLOWED_SIGNERS", help="names the units' keys")
    parser.add_argument("--witness", type=Path, metavar="FILE", help="a cosigned head, which the log must continue")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="further witnesses of this tree, which the proofs require"
    )
    parser.add_argument("--ca", type=Path, metavar="PEM", help="CA of the witnesses' https")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="gets CALL_ID.proof and the policy file"
    )


def run(args: argparse.Namespace) -> int:
    signers = callfolder.load_signers(args.signers)
    key = load_private_key(args.key)
    if not args.output.is_dir():
        raise BadInput(f"{args.output}: not a folder; one for the proofs expected")
    check = LogCheck(args.log, signers, args.witness)
    if check.head is None or not check.good:
        raise NotProven(f"{args.log}: the log is not in order: `linetap verify` of its vault gives details")
    tree, positions = Tree(), dict[str, tuple[int, bytes]]()
    unit_keys = [keys.from_blob(signer.blob) for signer in signers if signer.is_named(check.head.unit)]
    submitters = [unit_key for unit_key in unit_keys if isinstance(unit_key, Ed25519PublicKey)]
    has_hardware_keys = len(submitters) < len(unit_keys)
    for call_id, leaf in closes(args.log, submitters, key if has_hardware_keys else None):
        positions[call_id] = tree.append(leaf), leaf
    head, policy = _tree_head_and_policy(args, tree, check.head.unit, key)
    for name in args.call:
        call_id = Path(name).name
        if sealed.CALL_ID.fullmatch(call_id) is None or call_id not in positions:
            raise NotProven(f"{call_id}: the log does not know that it was sealed")
        text = tlogproof.proof(tree, *positions[call_id], head, key.public_key())
        replace_durably(args.output / (call_id + SUFFIX), text.encode("ascii"))
        sys.stdout.write(f"ok   {call_id}: leaf {positions[call_id][0]} of {tree.size}\n")
    replace_durably(args.output / POLICY, policy.encode("ascii"))
    return 0


def _tree_head_and_policy(args: argparse.Namespace, tree: Tree, unit: str, key: Ed25519PrivateKey) -> tuple[str, str]:
    """The middle part of every proof, and the policy for checking it. NotProven if the policy's quorum is missing."""
    if args.policy is None:
        return tlogproof.tree_head(tree, key), tlogproof.policy(key.public_key())
    policy = options.load_policy(args.policy)
    client.require_urls(policy)
    heads = args.output / CHECKPOINTS
    heads.mkdir(exist_ok=True)
    note = signedheads.read_checkpoint(carry.submit_to_witnesses(tree, unit, key, policy, heads, args.ca)).note
    cosigned = {
        name: checkpoint.cosignature(note, witness.public, witness.key_name)
        for name, witness in policy.witnesses.items()
    }
    lines = [
        (policy.witnesses[name].public, *cosignature)
        for name, cosignature in cosigned.items()
        if cosignature is not None
    ]
    if not policy.holds([name for name, cosignature in cosigned.items() if cosignature is not None]):
        raise NotProven(f"{unit}: cosigned by {len(lines)} of {len(cosigned)} witnesses, which is no quorum")
    return tlogproof.tree_head(tree, key, lines), tlogproof.policy(key.public_key(), policy.lines())


STOCK_LIMIT_BYTES = 64 * 1024
_TIMEOUT_S = 30


class StockRefusal(Refusal):
    code = "sigsum"


def require_stock_proof(message: bytes, proof: bytes, policy: bytes, key: bytes, name: str) -> None:
    """StockRefusal unless the proof is of `message`, submitted by the `.pub` line `key`, in a log named by `policy`."""
    with tempfile.TemporaryDirectory(prefix="linetap-sigsum-") as folder:
        paths = [Path(folder) / file_name for file_name in ("key.pub", "policy", "proof")]
        for path, data in zip(paths, (key, policy, proof), strict=True):
            path.write_bytes(data)
        command = [absent.require_program("sigsum-verify"), "-k", str(paths[0]), "-p", str(paths[1]), str(paths[2])]
        try:
            result = subprocess.run(command, input=message, capture_output=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise StockRefusal(f"{name}: sigsum-verify has not ended within {_TIMEOUT_S} s") from None
    if result.returncode:
        error_lines = result.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise StockRefusal(f"{name}: sigsum-verify: {error_lines[-1]}")
