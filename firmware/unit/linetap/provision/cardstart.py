# SPDX-License-Identifier: Apache-2.0
"""`linetap volume`: prepares the card's partitions, run by the initramfs in the verified root before it trusts the
card.

`start` runs if there is a TPM or a key in the board's fuses, or if the state partition is encrypted. It opens state and
data and mounts state, encrypts them if the order on the card requests it, or refuses the card. A plain card is left to
the initramfs. cardkey.py selects the holder of the key.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from linetap import cardresult
from linetap.provision import acceptorder, cardkey
from linetap.provision.cardkey import BoardHolder, Holder, TpmHolder
from linetap.tpm import boardkey, freshness, volume
from linetap.tpm.device import DEVICE
from linetap_core.durable.files import replace_durably
from linetap_core.enrolment import order
from linetap_core.errors import BadInput, DeviceFault, LinetapError, Refusal
from linetap_core.records import KeyHolder
from linetap_core.tomlfile.source import Source

_MARKED = (
    "기기가 이 카드를 암호화하고 있습니다. 최대 30분이 걸리니 전원을 켜 두십시오.\n"
    "도중에 전원이 꺼졌으면 다시 켜십시오.\n\n"
    "The unit is encrypting this card, which takes up to 30 minutes: leave the power on.\n"
    "If it failed meanwhile, switch it on again.\n"
)
_GROW = "/usr/lib/linetap/grow"
_STATE_OPTIONS = "nosuid,nodev,noexec,noatime,nosymfollow,errors=remount-ro"
_EXT4 = ("-q", "-F", "-t", "ext4", "-b", "4096", "-e", "remount-ro", "-m", "0", "-O", "metadata_csum,64bit")
# Files that make a card a unit's: its key, its configuration, its calls.
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
    tpm: TpmHolder = field(default_factory=TpmHolder)
    board: BoardHolder = field(default_factory=BoardHolder)


def start(card: Card) -> cardresult.Encryption:
    """Prepares the card. Never raises for faults of a card or a TPM: the unit then starts without this card."""
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
        wanted = None if boot is None else _requested_key_holder(boot)
        if boot is not None and wanted is not None:
            try:
                holder = cardkey.of_order(wanted, card.tpm, card.board)
                _grow(card.data.device)
                _require_nothing_owned(card, marked)
            except Refusal as why:
                if card.tpm.has_encrypted() or volume.is_encrypted(card.state.device):
                    raise
                return cardresult.Encryption("plain", str(why))
            return _make(card, boot, holder)
    if marked or volume.is_encrypted(card.state.device):
        raise Refusal("its encryption was begun, and the order for it is gone: a freshly written card expected")
    if card.tpm.has_encrypted():
        raise Refusal(
            "this unit's card is encrypted and this one is not: its own expected, or a freshly written one "
            f"whose {order.NAME} has [card] encrypt"
        )
    return cardresult.Encryption("plain", "")


def _open(card: Card) -> cardresult.Encryption:
    holder = cardkey.of_card(card.state.device, card.tpm, card.board)
    secret = holder.secret_of(card.state.device)
    volume.open_it(card.state, secret)
    with contextlib.suppress(DeviceFault):  # what cannot be repaired costs its files alone, if it can be mounted
        volume.run("e2fsck", "-p", str(card.state.mapped), good=(0, 1))
    _mount_state(card)
    count = holder.next_boot(card.mount)
    why = ""
    try:
        _grow(card.data.device)
        volume.open_it(card.data, secret)
    except (LinetapError, OSError) as error:  # the unit runs without its data
        why = f"data: {error}".replace("\n", "; ")
    return cardresult.Encryption("sealed", why, count, holder.name)


def _make(card: Card, boot: Path, holder: Holder) -> cardresult.Encryption:
    """Encrypts the card. Starts over after a power cut: until state has its token, both partitions are disposable."""
    secret, token = holder.new()
    count = None
    replace_durably(boot / cardresult.MARK, _MARKED.encode())
    for partition in (card.data, card.state):
        volume.format_partition(partition, secret)
        volume.open_it(partition, secret)
        grows = ["-E", "lazy_itable_init=1,resize=268435456"] if partition is card.data else ["-J", "size=8"]
        volume.run("mke2fs", *_EXT4, *grows, "-L", partition.name, str(partition.mapped))
        if partition is card.state:
            _mount_state(card)
            count = holder.begin(card.mount)
        volume.finish(partition, token)
    return cardresult.Encryption("sealed", "", count, holder.name)


def _requested_key_holder(boot: Path) -> KeyHolder | None:
    """The holder that a valid order on the card requests for encryption. `apply` reports errors of invalid ones."""
    try:
        found = order.read(Source(boot / order.NAME, acceptorder.read_card(boot / order.NAME)))
    except BadInput:
        return None
    return None if found.card is None else found.card.encrypt


def _require_nothing_owned(card: Card, marked: bool) -> None:
    """Raises Refusal if a unit's key, configuration or vault is there, or the partition cannot be read."""
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
    """Whether an unmounted ext4 has this file, or at its top level a file with a name that begins like it."""
    folder, _, begins = name.rpartition("/")
    listed = volume.run("debugfs", "-R", f"ls -p {folder or '/'}", str(path)).decode("utf-8", "replace")
    return any(line.split("/")[5].startswith(begins) for line in listed.splitlines() if line.count("/") >= 6)


@contextlib.contextmanager
def _mounted_boot(card: Card) -> Iterator[Path | None]:
    """Mounts the boot partition. Yields None on failure: a unit starts without it too."""
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
    """Grows the partition before it is opened, because a mapped device keeps the size from then."""
    if os.access(_GROW, os.X_OK):
        with contextlib.suppress(DeviceFault):  # otherwise it keeps its size
            volume.run(_GROW, str(path))


# --- The command ------------------------------------------------------------------------------------------------------


_STEPS = {
    "start": "in the initramfs: open the card, encrypt a new one, or refuse it",
    "test": "whether this TPM, in this boot, or this board's key opens an encrypted state partition",
    "follows": "check that the data partition is as this unit left it, and bind it to this boot",
}
_EXAMPLES = {
    "start": "start /dev/mmcblk0p4 /dev/mmcblk0p5 /dev/mmcblk0p1",
    "test": "test /dev/mmcblk0p4",
    "follows": "follows /state /var/lib/linetap",
}
# Used by the initramfs: 0, state is mounted; 1, the card must not be used; 3, the card is plain.
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
        step.add_argument(
            "--board-key", type=Path, default=Path(boardkey.PATH), metavar="FILE",
            help="64 hex digits of the board's fuses (OTP); default %(default)s",
        )  # fmt: skip
        step.add_argument("state", type=Path, metavar="STATE", help="the state partition")
        if name == "start":
            step.add_argument("data", type=Path, metavar="DATA", help="the data partition")
            step.add_argument("boot", type=Path, metavar="BOOT", help="the boot partition")


def run(args: argparse.Namespace) -> int:
    if args.step == "follows":
        freshness.check_data(args.state, args.data)
        return 0
    tpm, board = TpmHolder(args.tpm, args.boots), BoardHolder(args.board_key)
    if args.step == "test":
        secret = cardkey.of_card(args.state, tpm, board).secret_of(args.state)
        volume.test(volume.state(args.state), secret)
        return 0
    started = start(Card(volume.state(args.state), volume.data(args.data), args.boot, tpm=tpm, board=board))
    if started.word != "plain" or started.why:
        held = " by the key in the board's fuses (OTP)" if started.held_by == "otp" else ""
        count = f", boot {started.boot}" if started.boot is not None else ""
        sys.stderr.write(f"card {started.word}{held}{count}{': ' if started.why else ''}{started.why}\n")
    return _STATUS[started.word]
