# SPDX-License-Identifier: Apache-2.0
"""The authority's folder, locked by one command at a time.

```
ca.key  ca.pem  issued.jsonl          the state
crl.pem  allowed_signers              derived from the register, rewritten by every command
```
ca.pem, crl.pem and allowed_signers have mode 0644, since they are copied to brokers, desks and verifiers, whose
programs run as other users. All other files have 0600.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import ipaddress
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from linetap_core import system
from linetap_core.clock import Clock, from_utc_ns, parse_rfc3339, rfc3339
from linetap_core.durable import privatefile, signedfile
from linetap_core.durable.copies import twin_of
from linetap_core.durable.files import PUBLIC_MODE, replace_durably
from linetap_core.enrolment import certificates
from linetap_core.enrolment.certificates import NAME_LIMIT, UNREADABLE, Network, Role
from linetap_core.enrolment.request import PkiFault
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import document, namespaces, unitnames
from linetap_core.rundir import read_small
from linetap_desk.pki.register import LIMIT_BYTES, Issued, Register, Revoked

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBERS = re.compile(r"[0-9.]+")
_DOMAIN_LIMIT = 253


def domain_name(text: str, what: str) -> str:
    if len(text) > _DOMAIN_LIMIT or not _DOMAIN.fullmatch(text) or _NUMBERS.fullmatch(text):
        raise BadInput(f"{what} {text!r}: a name in small letters, as mqtt.police.example expected")
    return text


def network_of(text: str, what: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise BadInput(f"{what} {text!r}: {error}; 10.20.0.0/16 expected") from None


def host_name(text: str, what: str) -> x509.GeneralName:
    """An address or a name, as a certificate's alternative name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(domain_name(text, what))


def desk_name(text: str) -> str:
    if not unitnames.is_name(text):
        raise BadInput(f"NAME {text!r}: 2 to 40 of a-z, 0-9 and -, not beginning with - expected")
    return text


def is_permitted(ca: x509.Certificate, name: x509.GeneralName) -> bool:
    """Whether the root's constraints permit the name (RFC 5280, 4.2.1.10): otherwise every client would refuse the
    certificate."""
    return any(_within(name, subtree) for subtree in permitted_names(ca))


def permitted_names(ca: x509.Certificate) -> list[x509.GeneralName]:
    """The domains and networks that the root was made for."""
    return list(ca.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or [])


def permitted_domains(ca: x509.Certificate) -> list[str]:
    return [name.value for name in permitted_names(ca) if isinstance(name, x509.DNSName)]


def _within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    match name, subtree:
        case x509.DNSName(value=inner), x509.DNSName(value=outer):
            return inner == outer or inner.endswith(f".{outer}")
        case x509.IPAddress(value=address), x509.IPAddress(value=net):
            return isinstance(net, Network) and not isinstance(address, Network) and address in net
    return False


KEY, CERTIFICATE, REGISTER, REVOCATIONS, SIGNERS = "ca.key", "ca.pem", "issued.jsonl", "crl.pem", "allowed_signers"
_PEM_LIMIT_BYTES = 64 * 1024
_CRL_LIMIT_BYTES = 16 << 20  # of as many revocations as the register can have
_HEAD = "# Written by `linetap pki` from issued.jsonl, and overwritten: put your own lines into another file.\n"


@dataclass(frozen=True, slots=True)
class Authority:
    folder: Path
    certificate: x509.Certificate
    register: Register
    clock: Clock
    _key: ec.EllipticCurvePrivateKey

    def issue(
        self,
        role: Role,
        name: str,
        public: ec.EllipticCurvePublicKey,
        alternatives: list[x509.GeneralName],
        signer: str = "",
    ) -> bytes:
        """Issues a certificate; returns its PEM, which is registered on return. `signer`: the line of a unit's signing
        key."""
        now_ns = self.clock.utc_ns()
        at = from_utc_ns(now_ns)
        if at >= self.certificate.not_valid_after_utc:
            raise PkiFault("ca_ended", f"{self.folder / CERTIFICATE}: ended {self.certificate.not_valid_after_utc}")
        key = key_hash(public)
        if any(entry.key == key and (entry.role, entry.name) != (role, name) for entry in self.register.issued()):
            raise PkiFault("key_taken", f"{name}: this TLS key is another's already")
        made = certificates.issue(self.certificate, self._key, at, role, name, public, alternatives)
        self.register.append(
            Issued(
                at=rfc3339(now_ns),
                serial=f"{made.serial_number:x}",
                role=role,
                name=name,
                until=made.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
                key=key,
                sha256=hashlib.sha256(made.public_bytes(Encoding.DER)).hexdigest(),
                signer=signer,
            )
        )
        self.publish()
        return made.public_bytes(Encoding.PEM)

    def revoke(self, entries: list[Issued], since: str, with_signer: bool) -> None:
        """Revokes certificates; `since` is RFC 3339. Register and derived files are updated on return."""
        now = rfc3339(self.clock.utc_ns())
        self.register.append(
            *(Revoked(at=now, serial=e.serial, since=since, signer=e.signer if with_signer else "") for e in entries)
        )
        self.publish()

    def publish(self) -> None:
        """Writes revocation list and signers' file from the register. BadInput if that fails: the next command writes
        them."""
        revoked = [(int(e.serial, 16), from_utc_ns(parse_rfc3339(e.at))) for e in self.register.revocations().values()]
        at = from_utc_ns(self.clock.utc_ns())
        made = certificates.revocation_list(self.certificate, self._key, at, self._number, revoked)
        files = {REVOCATIONS: made.public_bytes(Encoding.PEM), SIGNERS: self._signers()}
        for name, data in files.items():
            try:
                replace_durably(self.folder / name, data, mode=PUBLIC_MODE)
            except OSError as error:
                text = f"{error.strerror}; the register has the entry, and the same command again writes {name}"
                raise BadInput(f"{self.folder / name}: {text}") from None

    @property
    def is_published(self) -> bool:
        """Whether both files are those of the register: a command may have ended between its entry and them."""
        try:
            crl = x509.load_pem_x509_crl(read_small(self.folder / REVOCATIONS, _CRL_LIMIT_BYTES))
            number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            return number == self._number and read_small(self.folder / SIGNERS, LIMIT_BYTES) == self._signers()
        except (BadInput, x509.ExtensionNotFound, *UNREADABLE):
            return False

    @property
    def _number(self) -> int:
        """The number of the revocation list."""
        return len(self.register.entries) + 1

    def _signers(self) -> bytes:
        lines = [signers_line(*who, before) for who, before in self.register.signers().items()]
        return (_HEAD + "".join(f"{line}\n" for line in lines)).encode("ascii")


def make_host(
    folder: Path, clock: Clock, role: Role, name: str, alternatives: list[x509.GeneralName], output: Path
) -> None:
    """Makes a key and a certificate: `output`, and the same name with .key. Nothing is overwritten."""
    key_path = output.with_suffix(".key")
    if key_path == output:
        raise BadInput(f"-o {output}: that is the key's name; {output.with_suffix('.pem')} expected")
    signedfile.require_free(output, key_path)
    with opened(folder, clock) as ca:
        for one in alternatives:
            if not is_permitted(ca.certificate, one):
                permitted = ", ".join(str(each.value) for each in permitted_names(ca.certificate))
                raise PkiFault("host_not_permitted", f"{one.value}: this authority was made for {permitted}")
        key = certificates.new_key()
        made = ca.issue(role, name, key.public_key(), alternatives)
    privatefile.write(key_path, certificates.key_pem(key))
    privatefile.write_public(output, made)


def key_hash(public: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo."""
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def signers_line(unit: str, signer: str, before: str = "") -> str:
    """A line of allowed_signers; `before` is RFC 3339. Rounded down: in the second of doubt the signature does not
    count."""
    ends = f',valid-before="{from_utc_ns(parse_rfc3339(before)):%Y%m%d%H%M%S}Z"' if before else ""
    return f'{unit} namespaces="{",".join(namespaces.BY_UNIT)}"{ends} {signer}'


def make(folder: Path, name: str, domains: list[str], networks: list[Network], clock: Clock) -> None:
    """Makes an authority, with a revocation list from the first day. BadInput if there is one already."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    key = certificates.new_key()
    made = certificates.root(key, name, from_utc_ns(clock.utc_ns()), domains, networks)
    privatefile.write(folder / KEY, certificates.key_pem(key))
    twin_of(folder / REGISTER).unlink(missing_ok=True)  # left by an earlier authority
    privatefile.write(folder / REGISTER, b"")
    privatefile.write_public(folder / CERTIFICATE, made.public_bytes(Encoding.PEM))
    with opened(folder, clock):
        pass  # writes the first revocation list


@contextlib.contextmanager
def opened(folder: Path, clock: Clock) -> Iterator[Authority]:
    """The authority, its folder locked for this command, and its derived files those of the register. PkiFault if
    another command has the lock."""
    key, certificate = _read_key(folder / KEY), _read_certificate(folder / CERTIFICATE)
    if key.public_key() != certificate.public_key():
        raise PkiFault("ca_key", f"{folder / KEY}: not the key of {CERTIFICATE}")
    fd = os.open(folder / KEY, system.READ)  # the key is never replaced; Windows cannot open a folder
    try:
        system.lock(fd)
        authority = Authority(folder, certificate, Register(folder / REGISTER), clock, key)
        if not authority.is_published:
            authority.publish()
        yield authority
    except BlockingIOError:
        raise PkiFault("ca_busy", f"{folder}: another command is at work in it") from None
    finally:
        os.close(fd)


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(read_small(path, _PEM_LIMIT_BYTES), None)
    except BadInput as error:
        raise BadInput(f"{error}; `linetap pki init` makes an authority") from None
    except (*UNREADABLE, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadInput(f"{path}: not the key that `linetap pki init` made")
    return key


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(read_small(path, _PEM_LIMIT_BYTES))
    except BadInput:
        raise
    except UNREADABLE:
        raise BadInput(f"{path}: not a certificate in PEM") from None


def add_init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="on a safely stored medium; made if missing")
    parser.add_argument(
        "--domain", action="append", default=[], metavar="NAME", help="brokers have names in it; may be repeated"
    )
    parser.add_argument(
        "--network", action="append", default=[], metavar="NET", help="10.20.0.0/16: brokers have addresses in it"
    )
    parser.add_argument("--name", default="linetap", metavar="TEXT", help="name of the authority, default %(default)s")


def init(args: argparse.Namespace, clock: Clock) -> int:
    """`linetap pki init`: makes an authority that is limited to its own networks and domains."""
    domains = [domain_name(text, "--domain") for text in args.domain]
    networks = [network_of(text, "--network") for text in args.network]
    if not domains and not networks:
        raise BadInput("--domain or --network: the brokers' network; the authority issues for no host elsewhere")
    document.require_plain(args.name, "--name", NAME_LIMIT)
    make(args.folder, args.name, domains, networks, clock)
    sys.stdout.write(f"{args.folder}: {KEY} (keep it offline), {CERTIFICATE} for everybody\n")
    return 0
