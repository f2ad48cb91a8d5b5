# SPDX-License-Identifier: Apache-2.0
"""The unit's stored files on a read-only partition: the initramfs's own script with the root's, over the kernel's own
overlay and a file system mounted read-only, in separate namespaces.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

IMAGE = Path(__file__).resolve().parents[2] / "image"
WATCH, KEEP, STATE = IMAGE / "initramfs/watch.sh", IMAGE / "initramfs/keep.sh", IMAGE / "root/usr/lib/linetap/state"
LIMIT_S = 120
# `state` is the partition's content, a tmpfs here, because only the machine's own root can mount an ext4.
START = f"""
say() {{ echo "$*" >>"$NEW/said"; }}
device_of() {{ echo "no such device"; }}
chroot() {{
  case $2 in */state) shift 2 ;; *) return ;; esac
  LINETAP_STATE=$NEW/state LINETAP_RUN=$NEW/run LINETAP_LOG=$NEW/kmsg {STATE} "$@"
}}
. {WATCH}
. {KEEP}
command mount -t tmpfs tmpfs "$NEW/state"
cp -r "$NEW/card/." "$NEW/state/"
$CARD
"""


@pytest.fixture
def new(tmp_path: Path) -> Path:
    for name in ("state", "run", "etc/linetap", "card/etc/linetap", "card/config"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/linetap/pins.toml").write_text("the image's")
    return tmp_path


def script(new: Path, card: str, then: str, before: str = "") -> str:
    command = ["unshare", "--user", "--map-root-user", "--mount", "busybox", "sh", "-uc", START + then]
    environment = os.environ | {"NEW": str(new), "CARD": card}
    text = before + START.replace("$CARD", card) + then
    done = subprocess.run(
        [*command[:-1], text], env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    if "unshare" in done.stderr and "ermi" in done.stderr:
        pytest.skip("this machine makes no user namespaces")
    assert done.returncode == 0, done.stderr
    return done.stdout


READ_ONLY = 'mkdir -p "$NEW/state/.work"; command mount -o remount,ro "$NEW/state"'
SHOWS = 'kept || exit 1; cat "$NEW/etc/linetap/unit.key" "$NEW/etc/linetap/pins.toml"'


def commission(new: Path) -> None:
    """Makes a unit that has started before, with an accepted order."""
    script(new, "", 'kept; cp -r "$NEW/state/etc" "$NEW/state/config" "$NEW/card/"')
    for path in ("run/linetap-left", "said"):
        (new / path).unlink(missing_ok=True)
    (new / "card/etc/linetap/unit.key").write_text("the unit's\n")


def test_a_partition_that_is_written_is_laid_over_the_image(new: Path) -> None:
    commission(new)
    assert script(new, "", SHOWS + '; touch "$NEW/etc/linetap/new" && ls "$NEW/state/etc/linetap"').split("\n") == [
        "the unit's", "the image'snew", "unit.key", "",
    ]  # fmt: skip
    assert not (new / "run/linetap-state-read-only").exists()


def test_a_unit_whose_partition_cannot_be_written_knows_who_it_is(new: Path) -> None:
    """It was once replaced by a RAM disk: a unit without a key, an order and its notices."""
    commission(new)
    assert script(new, READ_ONLY, SHOWS) == "the unit's\nthe image's"
    assert (new / "run/linetap-state-read-only").exists(), "a check tells the desk"
    assert "can be read and not written" in (new / "said").read_text()
    assert (new / "run/linetap-left").read_text() == "", "nobody has changed the card"


def test_a_folder_that_a_newer_version_wants_is_not_needed(new: Path) -> None:
    commission(new)
    script(new, "", 'rm -r "$NEW/card/etc/chrony"')
    assert script(new, READ_ONLY, SHOWS) == "the unit's\nthe image's"


def test_a_work_folder_that_the_kernel_cannot_empty_is_replaced(new: Path) -> None:
    """The kernel mounted it read-only and reported success: an order could not be taken, and nobody knew."""
    commission(new)
    (new / "card/.work/work/a/b/c").mkdir(parents=True)
    script(new, "", SHOWS + '; touch "$NEW/etc/linetap/new" && ls "$NEW/state/etc/linetap"')
    assert not (new / "run/linetap-state-read-only").exists()
    assert (new / "run/linetap-left").read_text().startswith("moved to left/0: .work")


def test_an_overlay_that_takes_no_write_is_told(new: Path) -> None:
    commission(new)
    stays = 'mount() { case "$*" in *upperdir=*) set -- -t overlay -o "ro,$4" etc "$6" ;; esac; command mount "$@"; }; '
    assert script(new, "", stays + SHOWS) == "the unit's\nthe image's"
    assert (new / "run/linetap-state-read-only").exists()
    assert "can be read and not written" in (new / "said").read_text()


FOREIGN = 'ln -s /etc/shadow "$NEW/state/etc/linetap/x.pem"; mkfifo "$NEW/state/config/b"; '
STARTS = SHOWS.replace("kept ||", "kept || rescued ||")


def test_of_a_partition_that_cannot_be_corrected_the_units_own_files_are_copied(new: Path) -> None:
    """The unit started without its key and its configuration, for one immutable FIFO."""
    commission(new)
    (new / "card/config/unit.toml").write_text("the unit's")
    listed = 'cd "$NEW/state"; find etc config -type f | sort; touch "$NEW/etc/linetap/new"'
    shown = script(new, FOREIGN + READ_ONLY, f"{STARTS}; echo; {listed}")
    assert shown.splitlines() == [
        "the unit's", "the image's", "config/unit.toml", "etc/linetap/unit.key", "etc/machine-id"
    ]  # fmt: skip
    assert (new / "run/linetap-state-read-only").exists(), "a check tells the desk"
    assert (new / "run/linetap-left").read_text().splitlines() == ["cannot be moved away: b"]


def test_of_very_many_files_the_smallest_are_copied(new: Path) -> None:
    commission(new)
    many = (
        'cd "$NEW/state/config"; for n in $(seq 20); do dd if=/dev/zero of=a$n bs=1M count=1; done 2>/dev/null; cd /;'
    )
    assert script(new, many + FOREIGN + READ_ONLY, STARTS) == "the unit's\nthe image's"


def test_an_encrypted_card_that_cannot_be_corrected_is_not_used(new: Path) -> None:
    commission(new)
    script(new, FOREIGN + READ_ONLY, 'echo open >"$NEW/run/linetap-card"; kept || rescued || exit 1')
    assert (new / "run/linetap-card-refused").exists()


def test_ext4_is_read_without_its_journal_where_it_cannot_be_written(new: Path) -> None:
    """Each line is a call of mount(8); the second only after the first failed."""
    fails = 'mount() { echo "$*" >>"$NEW/mounts"; case "$*" in *ro,noload*) ;; *) return 1 ;; esac; }; '
    script(new, "", fails + "opened() { return 1; }; mount_state")
    first, second = (line.split() for line in (new / "mounts").read_text().splitlines() if "-t ext4" in line)
    options = ["nosuid", "nodev", "noexec", "noatime", "nosymfollow"]
    assert first[3].split(",") == [*options, "errors=remount-ro"], "not what the card's superblock chooses"
    assert second[3].split(",") == ["ro", "noload", *options], (
        "without a journal nothing is written, and nothing panics"
    )


# The module of the key in the board's fuses, which loads if there is one, and may fail to unload.
FUSES = """
insmod() { [ "$FUSES" ] || return 1; mkdir -p "${BOARD_KEY%/*}" && echo key >"$BOARD_KEY"; }
rmmod() { [ "$FUSES" != stuck ] || return 1; rm "$BOARD_KEY"; echo "removed $*"; }
"""
ASKED = 'asks_to_be_opened "$NEW/part" && echo asked || echo plain; '


@pytest.mark.parametrize(
    ("fuses", "content", "said"),
    [
        ("", "an ext4", "plain\n"),
        ("", "LUKS\u00ba\u00be", "asked\n"),
        ("burnt", "an ext4", "asked\nremoved linetap_otp\n"),
        ("burnt", "LUKS\u00ba\u00be", "asked\nremoved linetap_otp\n"),
    ],
    ids=["plain card", "encrypted card", "board with a key", "both"],
)
def test_whether_a_card_is_to_be_opened(new: Path, fuses: str, content: str, said: str) -> None:
    """A unit with neither a TPM, a key in its board nor an encrypted card starts as before."""
    (new / "part").write_bytes(content.encode("latin-1"))
    names = f"TPM_DEVICE=/nowhere/tpm0; OTP=/nowhere/otp.ko; BOARD_KEY={new}/otp/private_key; FUSES={fuses}"
    then = f"open_card() {{ {ASKED}}}; opened $NEW/part"
    assert script(new, FUSES, then, names) == said
    assert not (new / "otp/private_key").exists(), "nothing that runs later reads it"


def test_a_key_that_stays_open_is_told(new: Path) -> None:
    names = f"TPM_DEVICE=/nowhere/tpm0; OTP=/nowhere/otp.ko; BOARD_KEY={new}/otp/private_key; FUSES=stuck"
    script(new, FUSES, "open_card() { :; }; opened $NEW/part", names)
    assert "the key of the board stays open" in (new / "said").read_text()


def test_what_became_of_the_card_is_what_counts_and_not_the_module(new: Path) -> None:
    names = f"TPM_DEVICE=/nowhere/tpm0; OTP=/nowhere/otp.ko; BOARD_KEY={new}/otp/private_key"
    for status in (0, 1):
        for fuses in ("", "burnt"):
            then = f"open_card() {{ return {status}; }}; opened $NEW/part && echo opened || echo plain"
            said = script(new, FUSES, then, f"{names}; FUSES={fuses}").split()
            assert said[-1] == ("plain" if status else "opened")
