# SPDX-License-Identifier: Apache-2.0
"""`linetap volume`: run by the initramfs in the verified root, before it trusts the card.

`start` runs where there is a TPM or the state partition is encrypted. It opens state and data and mounts state; or
encrypts them, if the order on the card requests it; or refuses the card. A plain card, as in a unit without a TPM, is
left to the initramfs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linetap import cardresult
from linetap.provision import admit
from linetap.tpm import bootpolicy, device, freshness, unitkey, volume
from linetap.tpm.device import DEVICE, TpmFault
from linetap_core.durable.files import replace_durably
from linetap_core.enrolment import order
from linetap_core.errors import BadInput, DeviceFault, LinetapError, Refusal
from linetap_core.tomlfile.source import Source

_MARKED = "The partitions of this card are being encrypted: start the unit once more.\n"
_GROW = "/usr/lib/linetap/grow"
_STATE_OPTIONS = "nosuid,nodev,noexec,noatime,nosymfollow"
_EXT4 = ("-q", "-F", "-t", "ext4", "-b", "4096", "-e", "remount-ro", "-m", "0", "-O", "metadata_csum,64bit")
# Files on a card that belong to a unit: its key, its configuration, its calls.
_OWNED = {
    "linetap-state": ("/etc/linetap/unit.key", "/etc/linetap/order.json", "/config/unit.toml"),
    "linetap-data": ("/vault",),
}


@dataclass(frozen=True, slots=True)
class Card:
    state: volume.Partition
    data: volume.Partition
    boot: Path
    mount: Path = Path("/state")
    run: Path = Path("/run")
    tpm: Path = Path(device.DEVICE)
    boots: Path = Path("/proc/cmdline")
    release: Path = Path(unitkey.RELEASE)


def start(card: Card) -> cardresult.Encryption:
    """Never raises for what a card or a TPM can cause: the unit then starts without this card."""
    try:
        result = _start(card)
    except (LinetapError, OSError) as error:
        with contextlib.suppress(DeviceFault):
            volume.run("umount", str(card.mount), good=(0, 1, 32))
        volume.close(card.state)
        volume.close(card.data)
        result = cardresult.Encryption("refused", str(error).replace("\n", "; "))
    cardresult.write_encryption(card.run, result)
    return result


def _start(card: Card) -> cardresult.Encryption:
    if volume.is_encrypted(card.state.device) and volume.is_whole(card.state.device):
        return _open(card)
    with _mounted_boot(card) as boot:
        marked = boot is not None and (boot / cardresult.MARK).exists()
        if boot is not None and _asked(boot):
            try:
                _grow(card.data.device)
                _require_nothing_owned(card, marked)
            except Refusal as why:
                if _needed(card.tpm):
                    raise
                return cardresult.Encryption("plain", str(why))
            return _make(card, boot)
    if marked or volume.is_encrypted(card.state.device):
        raise Refusal("its encryption was begun, and the order for it is gone: a freshly written card expected")
    if _needed(card.tpm):
        raise Refusal(
            "this unit's card is encrypted and this one is not: its own expected, or a freshly written one "
            f"whose {order.NAME} has [card] encrypt"
        )
    return cardresult.Encryption("plain", "")


def _open(card: Card) -> cardresult.Encryption:
    secret = volume.secret_of(card.state.device, card.tpm, bootpolicy.read(card.boots))
    volume.open_it(card.state, secret)
    _mount_state(card)
    transport = device.open_device(card.tpm)
    try:
        count = freshness.check_state(card.mount, transport)
    finally:
        transport.close()
    why = ""
    try:
        _grow(card.data.device)
        volume.open_it(card.data, secret)
    except (LinetapError, OSError) as error:  # the unit runs without its data
        why = f"data: {error}".replace("\n", "; ")
    return cardresult.Encryption("sealed", why, count)


def _make(card: Card, boot: Path) -> cardresult.Encryption:
    """Starts over after a power cut: until state has its token, neither partition holds anything of value."""
    secret, sealed = volume.seal(card.tpm, unitkey.release_of(card.release), bootpolicy.read(card.boots))
    transport = device.open_device(card.tpm)
    try:
        replace_durably(boot / cardresult.MARK, _MARKED.encode())
        for partition in (card.data, card.state):
            volume.lay(partition, secret)
            volume.open_it(partition, secret)
            grows = ["-E", "lazy_itable_init=1,resize=268435456"] if partition is card.data else ["-J", "size=8"]
            volume.run("mke2fs", *_EXT4, *grows, "-L", partition.name, str(partition.mapped))
            if partition is card.state:
                _mount_state(card)
                count = freshness.begin(card.mount, transport)
            volume.finish(partition, sealed)
    finally:
        transport.close()
    return cardresult.Encryption("sealed", "", count)


def _asked(boot: Path) -> bool:
    """Whether the card has a valid order that requests encryption. `apply` reports errors of an invalid one."""
    try:
        found = order.read(Source(boot / order.NAME, admit.read_card(boot / order.NAME)))
    except BadInput:
        return False
    return found.card is not None and found.card.encrypt == "tpm"


def _require_nothing_owned(card: Card, marked: bool) -> None:
    """Refusal if a unit's key, configuration or vault is there, or the partition cannot be read."""
    for partition in () if marked else (card.state, card.data):
        if volume.is_encrypted(partition.device):
            raise Refusal(f"{partition.device}: encrypted already: only a freshly written card can be encrypted")
        try:
            _require_whole_sectors(partition.device)
            volume.run("e2fsck", "-p", str(partition.device), good=(0, 1))
            for path in _OWNED[partition.name]:
                if _has(partition.device, path):
                    raise Refusal(f"{path} is on this card already: only a freshly written card can be encrypted")
        except DeviceFault as fault:
            raise Refusal(f"{fault}: only a freshly written card can be encrypted") from None


def _require_whole_sectors(path: Path) -> None:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
    if size % volume.SECTOR_BYTES:
        raise Refusal(f"{path}: {size} bytes are no whole sectors: only a freshly written card can be encrypted")


def _has(path: Path, name: str) -> bool:
    """Whether an unmounted ext4 has this file, or at its top level any file whose name begins so."""
    folder, _, begins = name.rpartition("/")
    listed = volume.run("debugfs", "-R", f"ls -p {folder or '/'}", str(path)).decode("utf-8", "replace")
    return any(line.split("/")[5].startswith(begins) for line in listed.splitlines() if line.count("/") >= 6)


def _needed(tpm: Path) -> bool:
    """Whether a card of this unit was encrypted before. A TPM that does not answer counts as removed."""
    try:
        transport = device.open_device(tpm)
        try:
            return freshness.read_counter(transport) is not None
        finally:
            transport.close()
    except TpmFault:
        return False


@contextlib.contextmanager
def _mounted_boot(card: Card) -> Iterator[Path | None]:
    """Yields None if it cannot be mounted: a unit starts without it too."""
    place = card.run / "linetap-boot"
    place.mkdir(mode=0o700, exist_ok=True)
    try:
        volume.run("mount", "-t", "vfat", "-o", "nosuid,nodev,noexec,umask=0077", str(card.boot), str(place))
    except DeviceFault:
        yield None
        return
    try:
        yield place
    finally:
        volume.run("umount", str(place))


def _mount_state(card: Card) -> None:
    volume.run("mount", "-t", "ext4", "-o", _STATE_OPTIONS, str(card.state.mapped), str(card.mount))


def _grow(path: Path) -> None:
    """Before opening: a mapped device has the size that the partition had then."""
    if os.access(_GROW, os.X_OK):
        with contextlib.suppress(DeviceFault):  # it then keeps its size
            volume.run(_GROW, str(path))


# --- The command ------------------------------------------------------------------------------------------------------


_STEPS = {
    "start": "in the initramfs: open the card, encrypt a new one, or refuse it",
    "test": "whether this TPM, in this boot, opens an encrypted state partition",
    "follows": "check that the data partition is as this unit left it, and bind it to this boot",
}
_EXAMPLES = {
    "start": "start /dev/mmcblk0p4 /dev/mmcblk0p5 /dev/mmcblk0p1",
    "test": "test /dev/mmcblk0p4",
    "follows": "follows /state /var/lib/linetap",
}
# The initramfs acts on it: 0, state is mounted; 1, the card must not be used; 3, the card is plain.
_STATUS = {"sealed": 0, "refused": 1, "plain": 3}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, what in _STEPS.items():
        step = steps.add_parser(name, help=what, epilog=f"example: linetap volume {_EXAMPLES[name]}")
        if name == "follows":
            step.add_argument("state", type=Path, metavar="FOLDER")
            step.add_argument("data", type=Path, metavar="FOLDER")
            continue
        step.add_argument("--tpm", type=Path, default=Path(DEVICE), metavar="DEVICE", help="default %(default)s")
        step.add_argument("--boots", type=Path, default=Path("/proc/cmdline"), help="default %(default)s")
        step.add_argument("state", type=Path, metavar="STATE", help="the state partition")
        if name == "start":
            step.add_argument("data", type=Path, metavar="DATA", help="the data partition")
            step.add_argument("boot", type=Path, metavar="BOOT", help="the boot partition")


def run(args: argparse.Namespace) -> int:
    match args.step:
        case "start":
            card = Card(volume.state(args.state), volume.data(args.data), args.boot, tpm=args.tpm, boots=args.boots)
            result = start(card)
            if result.word != "plain" or result.why:
                count = f", boot {result.boot}" if result.boot is not None else ""
                sys.stderr.write(f"card {result.word}{count}{': ' if result.why else ''}{result.why}\n")
            return _STATUS[result.word]
        case "test":
            secret = volume.secret_of(args.state, args.tpm, bootpolicy.read(args.boots))
            volume.test(volume.state(args.state), secret)
        case _:
            freshness.check_data(args.state, args.data)
    return 0
