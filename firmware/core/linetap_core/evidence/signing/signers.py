# SPDX-License-Identifier: Apache-2.0
"""OpenSSH's allowed_signers (ssh-keygen(1), ALLOWED SIGNERS): which keys count, for which purpose and time.

Parsed like ssh-keygen (signerline.py), so that both give the same verdict. Keys that are neither Ed25519 nor ECDSA
P-256, and certificate authorities, are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from linetap_core.clock import FIRST_NS, SYSTEM, from_utc_ns
from linetap_core.errors import BadInput
from linetap_core.evidence.keys.keys import PublicKey, from_blob, public_blob
from linetap_core.evidence.keys.publickeys import SIGNING_KEYS, blob_kind
from linetap_core.evidence.signing import names, namespaces, signerline, unitnames
from linetap_core.evidence.signing.signerline import Line
from linetap_core.evidence.signing.sshsig import SignatureFault, check

_FIRST = from_utc_ns(FIRST_NS)
WITNESS = "witness"  # its name in the signers' file


class UntrustedSigner(SignatureFault):
    """The signature is valid, but its key is not listed for this purpose."""

    code = "signer_not_trusted"


class ReservedUnit(SignatureFault):
    """A unit with the reserved name of an office or another object: no signature of it counts."""

    code = "unit_reserved"


class SignerIsUnit(SignatureFault):
    """The key signs records, but only a person's key may sign here."""

    code = "signer_is_unit"


class SignerNamespace(SignatureFault):
    code = "signer_namespace"


class SignerNotYetValid(SignatureFault):
    code = "signer_not_yet_valid"


class SignerExpired(SignatureFault):
    code = "signer_expired"


class SignerUndated(SignatureFault):
    """Signed by a clock before the first version of linetap, with a key that is not valid at all times: whether the key
    was valid then is unknown. Neither a sign of a forgery nor a proof.
    """

    code = "signer_undated"


@dataclass(frozen=True, slots=True)
class Signer:
    """One line of the file. `principals` and `namespaces` are OpenSSH pattern lists; None allows every namespace."""

    principals: str
    blob: bytes
    namespaces: str | None = None
    valid_after: datetime | None = None
    valid_before: datetime | None = None

    def is_named(self, principal: str) -> bool:
        return signerline.in_list(principal, self.principals)

    @property
    def is_office(self) -> bool:
        """Whether the line names only offices, each in full: `witness`, `officer`."""
        return unitnames.OFFICES.issuperset(self.principals.split(","))

    @property
    def is_unit(self) -> bool:
        """Whether the line's key may sign for units. Other permissions of the line are ignored: units have no
        others.
        """
        allowed = self.namespaces is None or any(
            signerline.in_list(each, self.namespaces) for each in namespaces.BY_UNIT
        )
        return allowed and not self.is_office

    def is_for(self, namespace: str) -> bool:
        """Whether the line names this namespace itself, not all or a pattern."""
        return self.namespaces is not None and namespace in self.namespaces.split(",")


def parse(text: str) -> list[Signer]:
    """The signers of a file, without keys of unsupported kinds; BadInput names an invalid line.

    Only a newline ends a line: a key after another separator is part of the comment, as for ssh-keygen.
    """
    signers = []
    for number, data in enumerate(text.encode("utf-8").split(b"\n"), 1):
        try:
            line = signerline.parse(data)
            if line is not None:
                _require_seen(line.principals)
            signer = None if line is None else _signer(line)
        except BadInput as error:
            raise BadInput(f"line {number}: {error}") from None
        if signer is not None:
            signers.append(signer)
    return signers


def _require_seen(principals: str) -> None:
    """Raises BadInput for a name that looks like another one: ssh-keygen takes the two for two people."""
    if (fault := names.fault(principals)) is not None:
        raise BadInput(f"the name's {fault}")
    for name in principals.split(","):
        if name.removeprefix("!").strip(" ") != name.removeprefix("!"):
            raise BadInput(f"{name!r}: a name without a space around it expected")
        if (fault := names.person_fault(name)) is not None:
            raise BadInput(f"{name!r}: the name's {fault}")


def verify(
    data: bytes,
    armored: bytes,
    namespace: str,
    signers: list[Signer],
    principal: str,
    at: datetime,
    seen: datetime | None = None,
) -> PublicKey:
    """The key that signed `data` for `principal`, trusted by `signers` at the time `at`; otherwise SignatureFault."""
    key = check(data, armored, namespace)
    require_trust(key, namespace, signers, principal, at, seen)
    return key


def is_undated(at: datetime) -> bool:
    """Whether a unit's clock was before the first version of linetap when it signed: the time is meaningless."""
    return at < _FIRST


def has_times(key: PublicKey, signers: list[Signer]) -> bool:
    """Whether a line limits this key to a period."""
    blob = public_blob(key)
    return any(each.blob == blob and (each.valid_after or each.valid_before) for each in signers)


def require_trust(
    key: PublicKey,
    namespace: str,
    signers: list[Signer],
    principal: str,
    at: datetime,
    seen: datetime | None = None,
) -> None:
    """Raises the SignatureFault of the closest line, unless one line allows all of it.

    Whatever the lines allow, a unit's key signs only documents of units, under the name of its unit; no unit has the
    name of an office.

    `at`: the time in the signed bytes. If it `is_undated`, the unit's own time is ignored and `seen` counts: when
    another party received them. None: now, as ssh-keygen assumes without a time.
    """
    if namespace in namespaces.BY_UNIT and is_undated(at):
        known = from_utc_ns(SYSTEM.utc_ns()) if seen is None else seen
        try:
            _require_trust_at(key, namespace, signers, principal, known)
        except (SignerNotYetValid, SignerExpired) as fault:
            text = f"signed at {at:%Y-%m-%d %H:%M:%SZ} by its own clock, and it is known no earlier than at"
            raise SignerUndated(f"{text} {known:%Y-%m-%d %H:%M:%SZ}: {fault}") from None
        return
    _require_trust_at(key, namespace, signers, principal, at)


def _require_trust_at(key: PublicKey, namespace: str, signers: list[Signer], principal: str, at: datetime) -> None:
    blob = public_blob(key)
    if _signs_as_unit(namespace, principal):
        if unitnames.is_reserved(principal):
            raise ReservedUnit(f"a unit named {unitnames.reserved_message(principal)}")
        signers = [signer for signer in signers if not signer.is_office]
    else:
        if unit := next((signer for signer in signers if signer.blob == blob and signer.is_unit), None):
            raise SignerIsUnit(_is_unit(unit, namespace))
        if principal in unitnames.OFFICES:
            signers = [signer for signer in signers if signer.is_office or signer.namespaces is not None]
    fault: SignatureFault = UntrustedSigner(f"the key that signed is not one of {principal!r} in the signers' file")
    for signer in signers:
        if signer.blob != blob or not signer.is_named(principal):
            continue
        if signer.namespaces is not None and not signerline.in_list(namespace, signer.namespaces):
            fault = SignerNamespace(f"{principal!r} may not sign for {namespace!r} according to the signers' file")
        elif signer.valid_after is not None and at < signer.valid_after:
            fault = SignerNotYetValid(f"the key of {principal!r} is valid only after {signer.valid_after}")
        elif signer.valid_before is not None and at > signer.valid_before:
            fault = SignerExpired(f"the key of {principal!r} was valid only before {signer.valid_before}")
        else:
            return
    raise fault


def require_named(key: PublicKey, namespace: str, signers: list[Signer], at: datetime) -> str:
    """The name under which the file lets this key sign for `namespace`; otherwise UntrustedSigner."""
    for name in sorted({signer.principals.partition(",")[0] for signer in signers}):
        try:
            require_trust(key, namespace, signers, name, at)
        except SignerIsUnit:
            raise
        except SignatureFault:
            continue
        return name
    raise UntrustedSigner("no signer is named for it")


def _signs_as_unit(namespace: str, principal: str) -> bool:
    """Whether this signer is a unit. The witness signs heads too; all other signers of these namespaces are units."""
    return namespace in namespaces.BY_UNIT and (namespace, principal) != (namespaces.HEAD, WITNESS)


def _is_unit(signer: Signer, namespace: str) -> str:
    text = f"signed with the key of {signer.principals!r}, which may sign as a unit does, and no unit signs this"
    return f'{text}; of a person namespaces="{namespace}" expected'


def _signer(line: Line) -> Signer | None:
    if line.key_type.encode("ascii") not in SIGNING_KEYS or line.authority:
        return None
    if blob_kind(line.blob) != line.key_type.encode("ascii"):
        raise BadInput(f"the key is not of {line.key_type} as its line claims: copy the .pub line unchanged")
    from_blob(line.blob)  # the point is not on the curve
    return Signer(line.principals, line.blob, line.namespaces, line.valid_after, line.valid_before)
