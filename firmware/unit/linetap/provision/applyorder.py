# SPDX-License-Identifier: Apache-2.0
"""The execution of an order: configuration and named files under /etc, keys made here, and a request for a certificate.

The network's files are kept under `kept_etc`: on an image, a folder of the state partition, whose files are checked at
each start before any program reads them (image/root/usr/lib/linetap/state). The order is in force only after all of it
has been checked at its final place; unit.toml is written last.
"""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from linetap.commission import tlsrequest
from linetap.commission.configcheck import check_config
from linetap.commission.init import SIGNERS, write_beside
from linetap.config import Config, config_sha256, load_config
from linetap.config.require import TLS_CERTIFICATE, require_usual_place
from linetap.provision import acceptorder, cardfiles
from linetap.provision.memory import KEY
from linetap_core.clock import SYSTEM, rfc3339
from linetap_core.durable import copies, privatefile
from linetap_core.durable.files import move_durably, replace_durably
from linetap_core.enrolment.order import NAME, UNIT, Network, Order, Wifi
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys

SSH_KEYS = "linetap-ssh/authorized_keys"  # removed by the next boot
_READABLE = 0o644  # by all services; contains no secret


def apply_order(order: Order, data: bytes, etc: Path, kept_etc: Path, run: Path, boot: Path) -> str:
    """Executes an order; returns the steps in words. `data`: its bytes. BadInput: no part of the order is in force.

    The memory (memory.py) is written before a new unit's key is installed, which is the last step: a power cut leaves a
    new unit, or one that accepts only the rest of this very order. It is written again when the order is in force: then
    a power cut leaves only the order to be wiped from the card.
    """
    home = etc / "linetap"
    home.mkdir(parents=True, exist_ok=True)
    with _checked(order, home) as staging:
        _write_network(order, etc, kept_etc)
        _release_previous(home / UNIT)
        for name in sorted(order.files, key=lambda name: name == UNIT):
            _install(home / name, order.files[name].encode())
        if not (home / KEY).exists():
            acceptorder.remember(order, data, home, in_force=False)
        for name in (f"{KEY}.pub", SIGNERS):
            _install(home / name, (staging / name).read_bytes())
        if not (home / KEY).exists():
            move_durably(staging / KEY, home / KEY)
    acceptorder.remember(order, data, home, in_force=True)
    _permit_ssh(order.ssh_key, run)  # after it: access is granted once, even if power fails or the card is not writable
    return describe(home, boot)


def describe(home: Path, boot: Path) -> str:
    """The order in force, in words. Writes the request for the unit's certificate."""
    config = load_config(home / UNIT)
    asked, signer = tlsrequest.make_request(config)
    with contextlib.suppress(OSError):  # a full card has space after the order is removed: `leave_request`
        replace_durably(boot / f"{config.unit}.request", asked)
    return (
        f"unit {config.unit}, {len(config.line)} lines, configuration {config_sha256(config)}\n"
        f"key {keys.fingerprint(signer)}; the request for its certificate is {config.unit}.request\n"
        f"{rfc3339(SYSTEM.utc_ns())}\n"
    )


def leave_request(etc: Path, boot: Path) -> None:
    """Writes UNIT.request to the card again, if it is missing and the unit has no certificate."""
    home = etc / "linetap"
    if not (home / UNIT).exists() or not (home / KEY).exists():
        return
    config = load_config(home / UNIT)
    path = boot / f"{config.unit}.request"
    if not path.is_file() and not Path(config.broker.certificate or home / TLS_CERTIFICATE).exists():
        replace_durably(path, tlsrequest.make_request(config)[0])


def take_certificate(etc: Path, boot: Path) -> str | None:
    """Moves UNIT.pem from the card to the path in the configuration. Returns None if there is none.

    Refuses a certificate for another key, or not from the broker's authority. The reporter checks its dates as for any
    other, with a check and an alert.
    """
    if not cardfiles.has_certificate(boot):
        return None
    if not (etc / "linetap" / UNIT).exists():
        cardfiles.require_certificate(boot, None, False)
        return None
    try:
        config = load_config(etc / "linetap" / UNIT)
    except BadInput:
        if (boot / NAME).exists():
            return None  # the order, which replaces the damaged configuration, must come first
        raise
    cardfiles.require_certificate(boot, config.unit, config.broker.certificate is not None)
    found = boot / f"{config.unit}.pem"
    if not found.exists() or config.broker.certificate is None:
        return None
    data = acceptorder.read_card(found)
    tlsrequest.require_own(config, data, found.name)
    place, home = Path(config.broker.certificate), etc / "linetap"
    if place.parent != home:
        raise BadInput(f"{UNIT}: broker.certificate is {place}; a name in {home} expected")
    # The recorder may replace unit.toml, but must not choose files that root overwrites: that folder holds keys.
    require_usual_place(home / UNIT, "broker.certificate", place, home / TLS_CERTIFICATE)
    _install(place, data)
    found.unlink()
    return f"certificate of {config.unit} taken\n"


def _install(path: Path, data: bytes) -> None:
    """Writes to the target of root's link. Only unit.toml is a link, to a folder where a signed command may replace it
    (systemd/README.md).

    That folder belongs to the recorder, so no further link in it is followed, and no file in it is accessed by name
    afterwards. A link of another name comes from a person who had the card, and is replaced.
    """
    if path.name == UNIT and path.is_symlink():
        path = path.parent / path.readlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path if path.is_file() and not path.is_symlink() else None
    replace_durably(path, data, like=old, mode=_READABLE)


def _release_previous(path: Path) -> None:
    """Lets this order's unit.toml replace the previous one: the authority has signed the order, so
    config/unsignededit.py must not hold the file back as an edit. Called before it is written.
    """
    path = path.parent / path.readlink() if path.is_symlink() else path
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        copies.kept_of(path).unlink()


@contextlib.contextmanager
def _checked(order: Order, home: Path) -> Iterator[Path]:
    """Stages the future configuration with every file beside it and the key, which is made here if there is none."""
    staging = home / ".new"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    try:
        _check(order, home, staging)
        yield staging
    except cardfiles.CardMistake:
        raise
    except BadInput as error:
        raise BadInput(str(error).replace(f"{staging}/", f"{NAME}: ")) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check(order: Order, home: Path, staging: Path) -> None:
    for name, text in order.files.items():
        (staging / name).write_text(text, encoding="utf-8")
    config = load_config(staging / UNIT)
    cardfiles.require_broker(order.files[UNIT])
    require_codecs(order, config)
    _check_paths(config, staging)
    _check_name(config.unit, home)
    for there in home.iterdir():  # existing files: the key, the image's pins and notices, those of an earlier order
        if there != staging and there.name not in (*order.files, f"{KEY}.pub", SIGNERS):
            (staging / there.name).symlink_to(there)
    write_beside(config.unit, staging / KEY, staging / f"{KEY}.pub", staging / SIGNERS, config.keys)
    check_config(staging / UNIT)


def require_codecs(order: Order, config: Config) -> None:
    """Raises BadInput for a USB port of a card that is not in the configuration: no capture would use its codec; and
    for one of several cards without a port: udev (70-linetap.rules) takes any codec for card 1's if there are no ports.
    """
    cards = {card.number for card in config.card}
    for port, card in order.codecs.items():
        if card not in cards:
            raise BadInput(f"{NAME}: codecs: {port} is card {card}'s, and {UNIT} has no card {card}")
    missing = sorted(cards - set(order.codecs.values()))
    if missing and len(cards) > 1:
        raise BadInput(f"{NAME}: codecs: no USB port for card {missing[0]} of {len(cards)}, see --codec")


def _check_paths(config: Config, staging: Path) -> None:
    if Path(config.key) != staging / KEY:
        raise BadInput(f'{NAME}: {UNIT}: key is not "{KEY}", which the unit makes beside it')


def _check_name(unit: str, home: Path) -> None:
    """Checks that the unit keeps its name, which its log, outbox and certificate contain.

    A damaged configuration, which the order replaces, names none: then it is the name in root's memory, with which
    acceptorder.require_new has compared the order's.
    """
    try:
        now = load_config(home / UNIT).unit if (home / UNIT).exists() else unit
    except BadInput:
        return
    if now != unit:
        raise BadInput(f"{NAME}: {UNIT}: this is unit {now}, not {unit}; the card of {unit}, or a new image, is wanted")


def _write_network(wanted: Order, etc: Path, kept_etc: Path) -> None:
    for name, text in (files_of(wanted.network) | udev_rules(wanted.codecs)).items():
        path = (etc if name == BROKER_NETWORKS else kept_etc) / name
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_durably(path, text.encode())
            if name != SECRET:
                path.chmod(_READABLE)  # networkd and chronyd run as separate users


def _permit_ssh(key: str | None, run: Path) -> None:
    path = run / SSH_KEYS
    path.unlink(missing_ok=True)
    if key is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        privatefile.write(path, f"restrict,pty {key.strip()}\n".encode())


# --- Network files ----------------------------------------------------------------------------------------------------


BROKER_NETWORKS = "linetap/broker.networks"  # read by the image's generator
WIRE, AIR = "end0 eth0 en*", "wlan0"
# A cable beside Wi-Fi: its name servers would be in one list with the order's, in no certain order.
SPARE = "systemd/network/80-linetap-new.network.d/10-linetap.conf"
_ONLY_A_WAY = "".join(f"[{each}]\nUseDNS=no\n" for each in ("DHCPv4", "DHCPv6", "IPv6AcceptRA"))
SECRET = f"wpa_supplicant/wpa_supplicant-{AIR}.conf"  # contains a passphrase


def files_of(network: Network) -> dict[str, str | None]:
    """Path below /etc -> text, for all files; None: remove the file of an earlier order."""
    vlan = None if network.vlan is None else f"vlan{network.vlan}"
    name = AIR if network.wifi is not None else WIRE
    netdev = f"[NetDev]\nName={vlan}\nKind=vlan\n\n[VLAN]\nId={network.vlan}\n"
    return {
        "systemd/network/10-linetap.network": _network(name, network, vlan),
        "systemd/network/20-linetap-vlan.netdev": vlan and netdev,
        "systemd/network/20-linetap-vlan.network": vlan and _network(vlan, network, None),
        SPARE: _ONLY_A_WAY if network.wifi is not None and network.dns else None,
        SECRET: _wifi(network.wifi) if network.wifi is not None else None,
        BROKER_NETWORKS: "".join(f"{each}\n" for each in _reached(network)) or None,
        "chrony/sources.d/linetap.sources": "".join(f"server {host} iburst\n" for host in network.ntp) or None,
    }


def _reached(network: Network) -> list[str]:
    """Addresses that reporter and update may reach besides private ones: without the name servers, wherever they are,
    the broker's name has no address.
    """
    return list(dict.fromkeys((*network.broker, *(server.partition("%")[0] for server in network.dns))))


def udev_rules(codecs: Mapping[str, int]) -> dict[str, str | None]:
    """The udev rules that assign codec and meter behind a USB port to a card; none for a single codec."""
    rules = (
        f'SUBSYSTEM=="sound|tty", KERNELS=="{port}", ENV{{LINETAP_CARD}}="{card}"\n'
        for port, card in sorted(codecs.items(), key=lambda each: (each[1], each[0]))
    )
    return {"udev/rules.d/69-linetap.rules": "".join(rules) or None}


def _network(name: str, network: Network, vlan: str | None) -> str:
    """A network's file. With `vlan` the VLAN has the addresses, and `name` only carries it."""
    lines = ["[Match]", f"Name={name}", "", "[Network]", "LLMNR=no", "MulticastDNS=no"]
    if vlan is not None:
        lines += [f"VLAN={vlan}", "LinkLocalAddressing=no"]
    elif network.address is not None:
        address = ipaddress.ip_interface(network.address).with_prefixlen  # networkd requires a prefix length
        lines += [f"Address={address}", f"Gateway={network.gateway}"]
    else:
        lines += ["DHCP=yes"]
    if vlan is None:
        lines += [f"DNS={server}" for server in network.dns]
    return "\n".join(lines) + "\n"


def _wifi(wifi: Wifi) -> str:
    return f'country={wifi.country}\nnetwork={{\n  ssid="{wifi.ssid}"\n  psk="{wifi.passphrase}"\n  ieee80211w=1\n}}\n'
