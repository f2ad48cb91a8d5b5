# SPDX-License-Identifier: Apache-2.0
"""`linetap provision pack`: makes one linetap.toml with the files of one unit and its network."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap.config.check import checked
from linetap.config.require import HOME
from linetap.provision import cardfiles
from linetap.provision.applyorder import require_codecs
from linetap_core.clock import rfc3339
from linetap_core.durable import privatefile, signedfile
from linetap_core.enrolment import order
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.rundir import read_small
from linetap_core.timekeeping import KEPT
from linetap_core.tomlfile.source import Source

_LIMIT_BYTES = 768 * 1024  # a key list of 765 days takes 131 kB, with 5 officers 520 kB; an order may have 1 MiB


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="unit.toml, and all that it names but keys")
    parser.add_argument("--address", metavar="10.1.2.3/24", help="default: DHCP")
    parser.add_argument("--gateway", metavar="10.1.2.1")
    parser.add_argument("--dns", action="append", default=[], metavar="10.1.2.1")
    parser.add_argument("--ntp", action="append", default=[], metavar="HOST", help="time servers")
    parser.add_argument(
        "--broker-network",
        action="append",
        default=[],
        metavar="203.0.113.7",
        help="address or network of a broker that is outside private networks",
    )
    parser.add_argument(
        "--codec",
        action="append",
        default=[],
        metavar="1-1.2=2",
        help="with several codecs: the USB port of a line card's codec and meter, and the card",
    )
    parser.add_argument("--vlan", type=int, metavar="N")
    parser.add_argument("--wifi", nargs=2, metavar=("SSID", "PASSPHRASE"))
    parser.add_argument(
        "--encrypt", choices=("tpm", "otp"),
        help="the card, at the first start of a new one, with a key in the unit's TPM, or without one with that in the "
        "board's fuses",
    )  # fmt: skip
    parser.add_argument(
        "--ssh-key",
        metavar="LINE",
        help="public key of a person with root access until the next boot; requires a signature",
    )
    parser.add_argument(
        "--key", type=Path, action="append", default=[], metavar="KEY",
        help="the authority's: signs it, for a unit that was commissioned; or ssh-keygen -Y sign "
        f"-n {namespaces.ORDER}",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, required=True, metavar=order.NAME, help="must not exist")


def run(args: argparse.Namespace) -> int:
    files = {path.name: _text(path) for path in args.files}
    if len(files) < len(args.files):
        raise BadInput("two of the files have one name")
    signature = signedfile.signature_of(args.output)
    by = [signedfile.load_key(path) for path in args.key]
    if by:
        signedfile.require_free(signature)
    data = order.render(
        files, _network(args), rfc3339(KEPT.utc_ns()), _codecs(args), ssh_key=args.ssh_key, encrypt=args.encrypt
    ).encode()
    privatefile.write(args.output, data)
    try:
        _require_unit(order.read(Source(args.output)))
    except BadInput:
        args.output.unlink()
        raise
    if by:
        privatefile.write(signature, "".join(sshsig.sign(data, key, namespaces.ORDER) for key in by).encode())
    both = str(args.output) if not by else f"{args.output} and {signature.name}"
    sys.stdout.write(f"{both}: for the boot partition of the card; anyone who has it can read its content\n")
    return 0


def _require_unit(packed: order.Order) -> None:
    """Raises BadInput for a unit.toml that the unit would refuse; the unit checks the files that it names."""
    text = packed.files[order.UNIT]
    cardfiles.require_broker(text)
    source = Source(Path(order.UNIT), text.encode())
    config = checked(source, HOME)
    source.check()
    require_codecs(packed, config)


def _network(args: argparse.Namespace) -> dict[str, object]:
    wifi = None if args.wifi is None else {"ssid": args.wifi[0], "passphrase": args.wifi[1]}
    values = {
        "address": args.address, "gateway": args.gateway, "dns": args.dns, "ntp": args.ntp, "vlan": args.vlan,
        "wifi": wifi, "broker": args.broker_network,
    }  # fmt: skip
    return {key: value for key, value in values.items() if value not in (None, [])}


def _codecs(args: argparse.Namespace) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in args.codec:
        port, _, card = text.partition("=")
        if not port or not card.isdecimal() or port in found:
            raise BadInput(f"--codec {text}: 1-1.2=2 expected, each port once")
        found[port] = int(card)
    return found


def _text(path: Path) -> str:
    data = read_small(path, _LIMIT_BYTES)
    if data:
        cardfiles.require_text(data, str(path))
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not text in UTF-8") from None
