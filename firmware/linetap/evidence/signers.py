# SPDX-License-Identifier: Apache-2.0
"""OpenSSH's allowed_signers (ssh-keygen(1), ALLOWED SIGNERS): whose signature counts, for what, and when.

Read as ssh-keygen reads it, so that both give the same verdict. Keys that are neither Ed25519 nor ECDSA P-256, and
certificate authorities, are of no use here and passed over.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from linetap.errors import BadInput
from linetap.evidence.keys import PublicKey, from_blob, public_blob
from linetap.evidence.publickeys import SIGNING_KEYS, blob_kind
from linetap.evidence.sshsig import SignatureFault, check

_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*")+')
_OPTION = re.compile(r'([a-z-]+)(?:="([^"]*)")?(?:,|$)', re.IGNORECASE)
_TIME = re.compile(r"(\d{8})(\d{4})?(\d{2})?(Z?)")


class UntrustedSigner(SignatureFault):
    """The signature is good, and its key belongs to nobody that is named for this."""

    code = "signer_not_trusted"


class SignerNamespace(SignatureFault):
    code = "signer_namespace"


class SignerNotYetValid(SignatureFault):
    code = "signer_not_yet_valid"


class SignerExpired(SignatureFault):
    code = "signer_expired"


@dataclass(frozen=True, slots=True)
class Signer:
    """One line of the file. `principals` and `namespaces` are OpenSSH pattern lists; None allows every namespace."""

    principals: str
    blob: bytes
    namespaces: str | None = None
    valid_after: datetime | None = None
    valid_before: datetime | None = None

    def is_named(self, principal: str) -> bool:
        return _matches(self.principals, principal)


def parse(text: str) -> list[Signer]:
    """The signers of a file whose keys are of a kind that counts here; BadInput names the line that cannot be read."""
    signers = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            signer = _parse_line(line)
        except BadInput as error:
            raise BadInput(f"line {number}: {error}") from None
        if signer is not None:
            signers.append(signer)
    return signers


def verify(
    data: bytes, armored: bytes, namespace: str, signers: list[Signer], principal: str, at: datetime
) -> PublicKey:
    """The key that signed `data` for `principal`, trusted by `signers` at the time `at`; else a SignatureFault."""
    key = check(data, armored, namespace)
    require_trust(key, namespace, signers, principal, at)
    return key


def require_trust(key: PublicKey, namespace: str, signers: list[Signer], principal: str, at: datetime) -> None:
    """Nothing, if one line allows it all; else the SignatureFault of the line that came closest."""
    blob = public_blob(key)
    fault: SignatureFault = UntrustedSigner(f"the key that signed is not one of {principal!r} in the signers' file")
    for signer in signers:
        if signer.blob != blob or not signer.is_named(principal):
            continue
        if signer.namespaces is not None and not _matches(signer.namespaces, namespace):
            fault = SignerNamespace(f"{principal!r} may not sign for {namespace!r} according to the signers' file")
        elif signer.valid_after is not None and at < signer.valid_after:
            fault = SignerNotYetValid(f"the key of {principal!r} is valid only after {signer.valid_after}")
        elif signer.valid_before is not None and at > signer.valid_before:
            fault = SignerExpired(f"the key of {principal!r} was valid only before {signer.valid_before}")
        else:
            return
    raise fault


def require_named(key: PublicKey, namespace: str, signers: list[Signer], at: datetime) -> str:
    """The name under which the file lets this key sign for `namespace`, whoever that is; else UntrustedSigner."""
    for name in sorted({signer.principals.partition(",")[0] for signer in signers}):
        with contextlib.suppress(SignatureFault):
            require_trust(key, namespace, signers, name, at)
            return name
    raise UntrustedSigner("signed by nobody that is named for it")


def _parse_line(line: str) -> Signer | None:
    tokens = _TOKEN.findall(line)
    kinds = [at for at in (1, 2) if len(tokens) > at + 1 and _is_key_type(tokens[at])]
    if not kinds:
        raise BadInput("not a signer: `NAME [options] ssh-ed25519 AAAA...` would be right")
    options = dict(_options(tokens[1])) if kinds[0] == 2 else {}
    kind = tokens[kinds[0]].encode("ascii", "replace")
    if kind not in SIGNING_KEYS or "cert-authority" in options:
        return None
    return Signer(
        principals=tokens[0].replace('"', ""),
        blob=_key_blob(kind, tokens[kinds[0] + 1]),
        namespaces=options.get("namespaces"),
        valid_after=_time(options.get("valid-after")),
        valid_before=_time(options.get("valid-before")),
    )


def _is_key_type(token: str) -> bool:
    return token.startswith(("ssh-", "ecdsa-", "sk-"))


def _options(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _OPTION.match(text, at)
        name = match[1].lower() if match else ""
        takes_value = name in ("namespaces", "valid-after", "valid-before")
        if match is None or takes_value != (match[2] is not None) or not (takes_value or name == "cert-authority"):
            raise BadInput(
                f'unknown option {text[at:]!r}: namespaces="...", valid-after="...", valid-before="..." would be right'
            )
        yield name, match[2] or ""
        at = match.end()


def _key_blob(kind: bytes, text: str) -> bytes:
    try:
        blob = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadInput("the key is not base64: copy the .pub line as it is") from None
    if blob_kind(blob) != kind:
        raise BadInput(f"the key is not of {kind.decode()} although it says so: copy the .pub line as it is")
    from_blob(blob)  # a point that is not on the curve is no key
    return blob


def _time(text: str | None) -> datetime | None:
    """YYYYMMDD[HHMM[SS]][Z]; without Z the machine's local time, as ssh-keygen has it."""
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        digits = match[1] + (match[2] or "0000") + (match[3] or "00")
        moment = datetime.strptime(digits, "%Y%m%d%H%M%S")  # noqa: DTZ007  the zone follows
    except ValueError:
        raise BadInput(f"{text!r} is not a time: YYYYMMDD[HHMM[SS]]Z would be right") from None
    return moment.replace(tzinfo=UTC) if match[4] else moment.astimezone(UTC)


def _matches(patterns: str, text: str) -> bool:
    """OpenSSH's match_pattern_list: comma-separated, `*` and `?`, `!` refuses whatever else matches."""
    found = False
    for pattern in patterns.split(","):
        negated, wanted = pattern.startswith("!"), pattern.removeprefix("!")
        if wanted == text or (("*" in wanted or "?" in wanted) and _pattern(wanted).fullmatch(text)):
            if negated:
                return False
            found = True
    return found


@functools.lru_cache(maxsize=4096)  # re keeps 512, and a city has more units
def _pattern(wanted: str) -> re.Pattern[str]:
    return re.compile(re.escape(wanted).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
