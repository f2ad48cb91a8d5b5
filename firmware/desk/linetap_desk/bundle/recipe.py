# SPDX-License-Identifier: Apache-2.0
"""The check of a bundle with stock tools only: the commands that the reports list.

Tools: bash, coreutils, findutils, jq and OpenSSH; openssl for a time stamp, sigsum-verify for a Sigsum proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from shlex import quote

from linetap_core.codecs.registry import CODECS, MULAW
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.signers import (
    Signer,
    SignerExpired,
    SignerNotYetValid,
    is_undated,
    require_named,
    require_trust,
)
from linetap_core.records import PERSONAL_FIELDS, CallRecord
from linetap_desk.bundle import layout
from linetap_desk.bundle.facts import Call, EvidenceFacts, Signed
from linetap_desk.unsealing.wav import header

END_FIELDS = ("situation", "by", "code_at", "released_at", "seen_by")  # of a record's `end`

# The number of the leaf decides the side at every level (RFC 9162, section 2.1.3.2), as in docs/check-bundle.sh.
INCLUSION = r"""inclusion() {  # LEAF PROOF HEAD: hashes the leaf upwards to the root (RFC 6962, section 2.1)
  local node side other pair size at last wanted
  node=$( (printf '\0'; cat "$1") | sha256sum | cut -c1-64)
  read -r at size < <(sed -n '1s/^leaf \([0-9]\{1,18\}\) of \([0-9]\{1,18\}\)$/\1 \2/p' "$2") || return 1
  test "$size" = "$(jq -r .size "$3")" || return 1
  at=$((10#$at)) last=$((10#$size - 1))
  test "$at" -le "$last" || return 1
  while read -r side other; do
    wanted=right
    if ((at & 1 || at == last)); then
      wanted=left
      while ((at > 0 && !(at & 1))); do at=$((at >> 1)) last=$((last >> 1)); done
    fi
    at=$((at >> 1)) last=$((last >> 1))
    test "$side" = "$wanted" || return 1
    if test "$side" = left; then pair=$other$node; else pair=$node$other; fi
    node=$(printf '%b' "\\x01$(sed 's/../\\x&/g' <<< "$pair")" | sha256sum | cut -c1-64)
  done < <(sed 1d "$2")
  test "$last" = 0 && test "$node" = "$(jq -r .root "$3")"
}"""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the check. `key`: of the sentence in texts.py about its proof, with its value; `command` as typed."""

    key: str
    of: str
    command: str


def steps(facts: EvidenceFacts, signers: list[Signer]) -> Iterator[Step]:
    """The steps in the order of dependence. `signers`: those of the bundle, for their names."""
    listing = "find . -type f ! -path ./SHA256SUMS | LC_ALL=C sort | xargs sha256sum"
    yield Step("step_sums", "", f"{listing} | cmp - SHA256SUMS")
    for signed in facts.signed:
        yield Step("step_signature", signed.name, _verify(signed, signers))
    for call in facts.calls:
        yield from _call_steps(call)
        for kind in call.paths:
            yield _inclusion_step(call, kind)
        if call.ended is not None:
            yield from _end_steps(call)
    for unit, heads in facts.heads.items():
        if layout.STAMP in heads:
            head = layout.head(unit, layout.STAMP)
            yield Step("step_stamp", unit, _stamp(head))
    for call in facts.calls:
        if call.proven:
            call_id = call.record.call_id
            proof, key = layout.sigsum(call_id, ".proof"), layout.sigsum(call_id, ".pub")
            record = layout.call(call_id, sealed.RECORD)
            yield Step("step_sigsum", call_id, f"sigsum-verify -k {key} -p {layout.POLICY} \\\n  {proof} < {record}")


def opening(record: CallRecord) -> str:
    """The commands that the vault officer and a custodian type in the bundle's folder. They write into the parent
    folder, since the check refuses an extra file in the bundle."""
    codec = CODECS.get(record.audio.codec) if record.audio else None
    stream = f"call{codec.suffix if codec else MULAW.suffix}"
    folder = layout.call(record.call_id, "")
    return (
        f"age -d -i epoch.txt {folder}{sealed.KEY} | age -d -i custodian.txt > ../call.key\n"
        f'for part in {folder}audio.*.age; do age -d -i ../call.key "$part"; done > ../{stream}\n'
        "rm ../call.key"
    )


def opening_group(record: CallRecord) -> str:
    """The command by which two of three people open their layer, in the folder of `opening`."""
    return f"tar xOf {layout.call(record.call_id, sealed.KEY)} 1.age | age -d -i member1.txt | age -d -i member3.txt"


def name_of(signed: Signed, signers: list[Signer]) -> str:
    """The principal under which the signers' file must list the key."""
    return signed.who or require_named(signed.key, signed.namespace, signers, signed.at)


def time_of(signed: Signed, signers: list[Signer]) -> datetime:
    """The time at which the key is judged: counted time, if the key was not valid at the time of the unit's clock."""
    if signed.counted is None:
        return signed.at
    try:
        require_trust(signed.key, signed.namespace, signers, signed.who, signed.at)
    except (SignerNotYetValid, SignerExpired):
        return signed.counted
    except Refusal:
        pass
    return signed.at


def _call_steps(call: Call) -> Iterator[Step]:
    record, call_id = call.record, call.record.call_id
    if record.files:
        listed = """jq -r '.files | to_entries[] | "\\(.value)  \\(.key)"' record.json"""
        yield Step("step_files", call_id, f"(cd calls/{call_id} && {listed} |\n  sha256sum --check --strict --quiet)")
    wanted = f'.kind == "close" and .call_id == "{call_id}"'
    leaf, path = layout.leaf(record.unit, call_id), layout.call(call_id, sealed.RECORD)
    yield Step(
        "step_close",
        call_id,
        f'test "$(jq -r \'select({wanted}).record_sha256\' {leaf})" = \\\n  "$(sha256sum < {path} | cut -c1-64)"',
    )
    if call.kept is not None:
        name = layout.hold_member(call_id, hold.HOLD if isinstance(call.kept, hold.Hold) else hold.REWRAP)
        yield Step(
            "step_kept", call_id, f'test "$(jq -r .record_sha256 {name})" = \\\n  "$(sha256sum < {path} | cut -c1-64)"'
        )
        key = layout.hold_member(call_id, sealed.KEY)
        of_key = f'test "$(jq -r .key_sha256 {name})" = \\\n  "$(sha256sum < {key} | cut -c1-64)"'
        yield Step("step_kept_key", call_id, of_key)
    if call.amended is not None:
        name = layout.amended(call_id)
        of_record = f'test "$(jq -r .record_sha256 {name})" = \\\n  "$(sha256sum < {path} | cut -c1-64)"'
        yield Step("step_amended", call_id, of_record)
    if call.opened:
        sealed_only = ", ".join(f".{name}" for name in (*PERSONAL_FIELDS, "unreleased"))
        whole, wav = layout.opened(call_id, "call.json"), layout.opened(call_id, "call.wav")
        of_samples = header(record.audio.samples if record.audio else 0).hex()
        tests = [
            f'test "$(jq -cS \'del({sealed_only})\' {whole})" = "$(jq -cS . {path})"',
            f'test "$(stat -c %s {wav})" = "$((44 + 2 * $(jq .audio.samples {path})))"',
            f"test \"$(head -c 44 {wav} | od -An -v -tx1 | tr -d ' \\n')\" = \\\n  {of_samples}",
        ]
        yield Step("step_opened", call_id, " &&\n".join(tests))  # one status for all of them


def _end_steps(call: Call) -> Iterator[Step]:
    unit, call_id = call.record.unit, call.record.call_id
    leaf, path = layout.end(unit, call_id), layout.call(call_id, sealed.RECORD)
    wanted = f'.kind == "end" and .call_id == "{call_id}"'
    of_end = ", ".join(f".{name}" for name in END_FIELDS)
    logged = f"select({wanted}) | [{of_end}, .ended_at, .ended_by]"
    recorded = f"(.end | [{of_end}]) + [.ended_at, .ended_by]"
    own, close = (name_of(unit, layout.HEAD, call_id) for name_of in (layout.end_path, layout.path))
    number = "sed -n '1s/^leaf \\([0-9]*\\) of .*/\\1/p'"
    tests = [
        f"test \"$(jq -c '{logged}' {leaf})\" = \\\n  \"$(jq -c '{recorded}' {path})\"",
        f'test "$({number} {own})" -lt \\\n  "$({number} {close})"',  # before the call's close
    ]
    yield Step("step_end", call_id, " &&\n".join(tests))
    for kind in call.paths:
        words = ["inclusion", leaf, layout.end_path(unit, kind, call_id), layout.head(unit, kind)]
        yield Step(f"step_in_{kind}", leaf, " \\\n  ".join(words))


def _inclusion_step(call: Call, kind: str) -> Step:
    unit, call_id = call.record.unit, call.record.call_id
    words = (layout.leaf(unit, call_id), layout.path(unit, kind, call_id), layout.head(unit, kind))
    return Step(f"step_in_{kind}", call_id, " \\\n  ".join(["inclusion", *words]))


def _stamp(head: str) -> str:
    """The commands for a time stamp: openssl takes one over any hash, also over one for which other bytes can be
    made."""
    return (
        f'openssl ts -verify -data {head} -in {head}.tsr -CAfile "$tsa_ca" &&\n'
        f"openssl ts -reply -in {head}.tsr -token_out |\n"
        "  openssl ts -reply -in /dev/stdin -token_in -text |\n"
        "  grep -xE 'Hash Algorithm: (sha|sha3-)(256|384|512)'"
    )


def _verify(signed: Signed, signers: list[Signer]) -> str:
    """The command that verifies a signature, at the present time if a clock of 1970 gave its time."""
    at = time_of(signed, signers)
    undated = signed.namespace in namespaces.BY_UNIT and is_undated(at)
    time = "" if undated else f"-O verify-time={at:%Y%m%d%H%M%S}Z "
    return (
        f'ssh-keygen -Y verify -f "$signers" -I {quote(name_of(signed, signers))} -n {signed.namespace} \\\n'
        f"  {time}-s {signed.signature} < {signed.name}"
    )
