# SPDX-License-Identifier: Apache-2.0
"""The names of a bundle's members, and the exact spelling of members that readers accept in several spellings.

Each such member has one spelling here, so that no byte of it can hide other content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from linetap_core.enrolment.certificates import UNREADABLE
from linetap_core.errors import BadInput
from linetap_core.evidence import digest
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.witness import quorum, tlogproof
from linetap_core.evidence.witness.quorum import Policy
from linetap_desk.bundle.container import MOST_MEMBERS, NAME_LIMIT, BadBundle, Member, Source
from linetap_desk.proofs import callfolder

# The published checker (docs/check-bundle.sh). A report names it, and no bundle contains it: a forger of a bundle would
# forge its checker and report too. The reader compares the hash with the published one, and `linetap verify` refuses a
# report that names any other.
CHECKER_NAME = "check-bundle.sh"
CHECKER_VERSION = 9
CHECKER_SHA256 = "178d7deb2fe41a61f860535575bd2141c0503ce7df195300b8c21a47100e7f94"  # tests compare both with docs/

FORMAT = 4  # the earlier ones were in no release
TEXTS = 11  # incremented with any change of the report's texts: a report with another number is not compared

ABOUT = "bundle.json"
REPORTS = {"ko": "report.ko.html", "en": "report.en.html"}
SUMS = "SHA256SUMS"
SUMS_LIMIT_BYTES = MOST_MEMBERS * (NAME_LIMIT + 70)
SIGNERS = "signers"
POLICY = "sigsum/policy"
SECOND = f".second{namespaces.SUFFIX}"  # of a certificate: the second person's
QUORUM = "policy"  # of the witnesses

HEAD, WITNESS, STAMP = "head", "witness", "stamp"  # the log's own head, one signed by a witness, one with a time stamp
HEADS = (HEAD, WITNESS, STAMP)

_CALL = re.compile(r"calls/([^/]+)/record\.json")


def call(call_id: str, name: str) -> str:
    return f"calls/{call_id}/{name}"


def opened(call_id: str, name: str) -> str:
    """`call.wav` and `call.json`, as `linetap open` wrote them."""
    return f"opened/{call_id}/{name}"


def head(unit: str, kind: str) -> str:
    return f"logs/{unit}/{kind}.json"


def ca(unit: str) -> str:
    return f"logs/{unit}/tsa-ca.pem"


def leaf(unit: str, call_id: str) -> str:
    """The close of a call as in the log, without the line's end."""
    return f"logs/{unit}/leaves/{call_id}.json"


def end(unit: str, call_id: str) -> str:
    """The end of a call that the unit ended, as in the log."""
    return f"logs/{unit}/ends/{call_id}.json"


def end_path(unit: str, kind: str, call_id: str) -> str:
    """The proof that the log's head covers the end."""
    return f"logs/{unit}/{kind}/{call_id}.end.path"


def path(unit: str, kind: str, call_id: str) -> str:
    """The proof that the log's head covers the leaf."""
    return f"logs/{unit}/{kind}/{call_id}.path"


def witnessed(unit: str, call_id: str) -> str:
    """The proof that a checkpoint cosigned by witnesses covers the leaf."""
    return f"logs/{unit}/witnessed/{call_id}{tlogproof.SUFFIX}"


def sigsum(call_id: str, suffix: str) -> str:
    """`.proof`, and the unit's key as `.pub`."""
    return f"sigsum/{call_id}{suffix}"


def hold_member(call_id: str, name: str) -> str:
    """hold.json or rewrap.json, and the key.age that it names."""
    return f"holds/{call_id}/{name}"


def amended(call_id: str) -> str:
    """The newest amendment of the call's record."""
    return f"amended/{call_id}.json"


_CERTIFICATES = "certificates/"
_CERTIFICATE = re.compile(_CERTIFICATES + r"([^/.]+)(?:\.officer-([1-9](?:-[1-9])*))?\.destroyed\.json")


def certificate(name: str) -> str:
    """The member of a certificate, from its file's name, as `linetap epoch destroy` chose it."""
    return f"{_CERTIFICATES}{name}"


def certificates(names: Iterable[str], epoch: str) -> list[tuple[str, list[int] | None]]:
    """The certificates of an epoch, with the officers of a group in each name."""
    found = [(name, match) for name in sorted(names) if (match := _CERTIFICATE.fullmatch(name)) and match[1] == epoch]
    return [(name, [int(each) for each in match[2].split("-")] if match[2] else None) for name, match in found]


def call_ids(names: Iterable[str]) -> list[str]:
    return [match[1] for name in sorted(names) if (match := _CALL.fullmatch(name))]


def sums(members: Iterable[Member]) -> bytes:
    """SHA256SUMS, in the order and spelling of `sha256sum` over a sorted `find .`."""
    lines = (f"{member.sha256}  ./{member.name}\n" for member in members if member.name != SUMS)
    return "".join(lines).encode("ascii")


def read(sources: Mapping[str, Source], name: str, limit_bytes: int) -> bytes:
    """A small member; BadBundle if it is missing or exceeds `limit_bytes`."""
    source = sources.get(name)
    if source is None:
        raise BadBundle("missing_member", f"{name} is missing")
    data = source if isinstance(source, bytes) else callfolder.read(source, limit_bytes)
    if len(data) > limit_bytes:
        raise BadBundle("member_too_large", f"{name} is larger than {limit_bytes} bytes")
    return data


def holds(source: Source, data: bytes) -> bool:
    """Whether a member of any size has these bytes."""
    return data == (source if isinstance(source, bytes) else callfolder.read_head(source, len(data) + 1))


_LOG = re.compile(rb"log %b\n" % digest.HEX.encode())
_SEQUENCE = 0x30
_LONG = 0x80  # long form: the length of the length follows


def exact_certificates(data: bytes, name: str) -> bytes:
    """PEM as `openssl x509` writes it, without other text; BadBundle if there is no certificate."""
    try:
        found = x509.load_pem_x509_certificates(data)
    except UNREADABLE:
        raise BadBundle("member_unreadable", f"{name}: no certificate in PEM") from None
    return b"".join(each.public_bytes(Encoding.PEM) for each in found)


def require_exact_certificates(data: bytes, name: str) -> None:
    if exact_certificates(data, name) != data:
        raise BadBundle("not_exact", f"{name}: holds more than certificates")


def require_der(data: bytes, name: str) -> None:
    """BadBundle unless it is a single DER value without trailing bytes, which `openssl ts` ignores."""
    head = data[:1] == bytes([_SEQUENCE]) and len(data) > 1
    width = data[1] - _LONG if head and data[1] >= _LONG else 0
    length = int.from_bytes(data[2 : 2 + width], "big") if width else data[1] if head else -1
    if len(data) != 2 + width + length:
        raise BadBundle("not_exact", f"{name}: not exactly one DER value")


def require_exact_policy(data: bytes, name: str) -> None:
    log, end, rest = data.partition(b"\n")
    if _LOG.fullmatch(log + end) is None:
        raise BadBundle("not_exact", f"{name}: not a policy as `linetap sigsum` writes it")
    exact_policy(rest, name)


def exact_policy(data: bytes, name: str) -> Policy:
    """The witnesses' policy. BadBundle unless it is spelled as by `Policy.lines`."""
    try:
        found = quorum.parse(data)
    except BadInput as error:
        raise BadBundle("member_unreadable", f"{name}: {error}") from None
    if "".join(f"{line}\n" for line in found.lines()).encode("ascii") != data:
        raise BadBundle("not_exact", f"{name}: not spelled as a bundle's")
    return found


def require_exact_json(data: bytes, name: str) -> None:
    """BadBundle unless call.json is formatted as by `linetap open`."""
    try:
        same = msgspec.json.format(data, indent=2) + b"\n" == data
    except msgspec.MsgspecError:
        same = False
    if not same:
        raise BadBundle("not_exact", f"{name}: not laid out as `linetap open` writes it")
