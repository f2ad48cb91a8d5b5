# SPDX-License-Identifier: Apache-2.0
"""Leaving a slot for another at a start: the initramfs's own script, over a boot partition in a folder and slots as
files. The test supplies dm-verity's results; the emulated machine has the real one (tests/hil/test_healing.py).
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from boot_rig import IMAGE, LIMIT_S, Boot, marks

INITRAMFS, LIBRARY = IMAGE / "initramfs", IMAGE / "root" / "usr" / "lib" / "linetap"
AUTOBOOT = {
    slot: f"[all]\ntryboot_a_b=1\nboot_partition={number}\n[tryboot]\nboot_partition={5 - number}\n"
    for slot, number in {"a": 2, "b": 3}.items()
}
ROOTS = {"aaaa": "256:aaaa:5a17", "bbbb": "256:bbbb:5a17"}
# A start up to the root, without its machine.
START = """
say() { echo "$*" >>"$ROOT/said"; }
blink() { echo "$1 $2" >>"$ROOT/blinked"; }
reboot() { echo restarts; exit 0; }
NAMED=config.txt
[ "$signed" = 0 ] || NAMED=autoboot.txt
with_boot() { [ -e "$BOOT/$NAMED" ] && : >"$ROOT/mounted"; }
without_boot() { rm -f "$ROOT/mounted"; [ "$FAT" != "keeps nothing" ] || command cp "$ROOT/fat" "$BOOT/$NAMED"; }
cat() { [ "$FAT $#" != "full 0" ] && command cat "$@"; } # what comes in gets no cluster
dd() { case "$FAT $*" in read-only*of=*.txt*) return 1 ;; esac; command dd "$@"; }
mv() { [ "$FAT" != read-only ] && command mv "$@"; }
device_of() { echo "$ROOT/parts/linetap-$1"; }
by_power() { [ "$POWER" = 1 ]; }
whole() { case " $ROTTEN " in *" ${1##*-} "*) return 1 ;; esac; }
mend() { case " $ROTTEN " in *" ${2##*-} "*) echo 0; return 1 ;; esac; ROTTEN=; echo 4; }
sync() { [ "$CUT" != $((cuts = cuts + 1)) ] || exit 99; }
cuts=0
begin
command cp "$BOOT/$NAMED" "$ROOT/fat"
rm -f "$ROOT/mounted"
leave_what_fails
check_root
[ "$OPENS" = 1 ] || die 3 ko en
map() { shift 3; case " $* " in *" $UNKNOWN "*) return 1 ;; esac; echo "$*" >"$ROOT/mapped"; }
open_root || die 3 ko en
echo "starts bad=$mark_bad"
"""


class Card(Boot):
    """Slot a runs, and was good; b holds another root that was good, or a test's content."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, pi=False)
        self.lay("b", "0.0.9")
        self.signed = False
        self.roots = {"a": "aaaa", "b": "bbbb"}
        for slot in "ab":
            (self.boot / slot / "initramfs").write_text("initramfs")
            self.hold(slot, self.roots[slot])
            self.mark(slot, "mark_good=1")

    def hold(self, slot: str, root: str) -> None:
        self.roots[slot] = root
        (self.boot / slot / "cmdline.txt").write_text(f"linetap.verity={ROOTS[root]} linetap.slot={slot}\n")

    def mark(self, slot: str, what: str) -> dict[str, int]:
        return marks(self.parts / f"linetap-{slot}", f'{what}; mark_write "$1" {self.roots[slot]}', self.roots[slot])

    def marked(self, slot: str) -> dict[str, int]:
        return marks(self.parts / f"linetap-{slot}", ":", self.roots[slot])

    def start(
        self,
        opens: bool = True,
        rotten: str = "",
        power: bool = False,
        cut: int = 0,
        slot: str | None = None,
        fat: str = "",
        unknown: str = "none",
    ) -> str:
        """One start of the slot in config.txt, or of one on trial. "" is a panic, "cut" a power cut."""
        slot = slot or self.primary()
        sources = [LIBRARY / name for name in ("marks", "blocks", "bootfiles", "autoboot")]
        sources += [INITRAMFS / name for name in ("watch.sh", "tell.sh", "heal.sh")]
        verity = ROOTS[self.roots[slot]]
        script = f"slot={slot} signed={int(self.signed)} verity={verity} hash={self.roots[slot]} try=1 next=''\n"
        script += f"root={self.parts}/linetap-{slot}\n"
        script += "".join(f". {source}\n" for source in sources) + START
        environment = self.environment | {
            "BOOT": str(self.boot), "ROOT": str(self.root), "ROTTEN": rotten, "POWER": str(int(power)),
            "OPENS": str(int(opens)), "CUT": str(cut), "FAT": fat,
            "UNKNOWN": unknown,
        }  # fmt: skip
        done = subprocess.run(
            ["busybox", "sh", "-uc", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert not done.stderr, done.stderr
        assert done.returncode in (0, 1, 99), done
        if done.stdout.startswith("starts"):
            assert not (self.root / "mounted").exists(), "the boot partition stays mounted beneath the new root"
        return "cut" if done.returncode == 99 else done.stdout.strip()

    def sign(self) -> None:
        """Makes it a signed card: autoboot.txt names the slot, and each slot has a partition with a boot.img."""
        self.signed = True
        (self.boot / "autoboot.txt").write_text(AUTOBOOT["a"])
        (self.boot / "config.txt").unlink()
        for slot in "ab":
            data = bytes([ord(slot)]) * (1 << 17)
            (self.parts / f"linetap-boot-{slot}").write_bytes(data)
            told = f"{len(data)} {hashlib.sha256(data).hexdigest()}\n"
            (self.boot / slot / "boot.sum").write_text(told)
            (self.boot / slot / "vmlinuz").unlink()

    def primary(self) -> str:
        if not self.signed:
            return self.call("get-primary")
        return {text: slot for slot, text in AUTOBOOT.items()}[(self.boot / "autoboot.txt").read_text()]

    def pauses(self) -> list[tuple[int, ...]]:
        """The LEDs' code and the seconds of the pause, for each failure."""
        return [tuple(map(int, line.split())) for line in (self.root / "blinked").read_text().splitlines()]


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


@pytest.fixture
def signed(tmp_path: Path) -> Card:
    card = Card(tmp_path)
    card.sign()
    return card


def test_a_start_is_counted_before_anything_can_fail(card: Card) -> None:
    assert card.start() == "starts bad=0"
    assert (card.marked("a")["tries"], card.marked("a")["clean"]) == (1, 0)
    card.call("set-state", "a", "good")
    assert card.marked("a")["tries"] == 0


def test_a_slot_that_fails_three_times_is_left_for_the_other(card: Card) -> None:
    assert [card.start(opens=False) for _ in range(3)] == ["", "", "restarts"]
    assert card.call("get-primary") == "b"
    assert "0.0.9" in (card.boot / "config.txt").read_text(), "with the other version's own settings"
    assert card.start() == "starts bad=0"
    text = (card.boot / "linetap-boot.txt").read_text()
    assert "슬롯 a, 3번째 시작" in text
    assert "Next: slot b" in text
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        "- a/1: en -> this slot again", "- a/2: en -> this slot again", "- a/3: en -> slot b",
    ]  # fmt: skip


def test_a_machine_that_dies_later_is_counted_by_its_next_start(card: Card) -> None:
    """The root opens, and the kernel panics or a watchdog fires before the unit is good."""
    assert [card.start() for _ in range(4)] == ["starts bad=0"] * 3 + ["restarts"]
    assert card.call("get-primary") == "b"


def test_power_that_goes_is_no_failure_of_the_slot(card: Card) -> None:
    """If the firmware reports a power-on: three cuts in a row are no downgrade."""
    assert {card.start(power=True) for _ in range(12)} == {"starts bad=0"}
    assert card.call("get-primary") == "a", "nobody installs an older version with a switch"
    assert card.marked("a")["falls"] == 0
    card.call("set-state", "a", "good")
    assert card.start(power=True) == "starts bad=0"


PI_4B_2, PI_4B_4, PI_400, CM4, PI_5 = 0xC03112, 0xC03114, 0xC03130, 0xA03140, 0xC04170
OLD, NEW = 1725562327, 1728553618  # BUILD_TIMESTAMP of pieeprom-2024-09-05.bin and pieeprom-2024-10-10.bin


@pytest.mark.parametrize(
    ("revision", "loader", "cause", "by_power"),
    [
        (PI_4B_4, NEW, 0x1000, True), (PI_4B_4, NEW, 0x1020, False),
        (PI_5, OLD, 0x1000, True), (PI_5, OLD, 0x20, False),
        # They report a power-on after every panic if the card ran at 1.8 V.
        (PI_4B_2, NEW, 0x1000, False), (PI_4B_4, OLD, 0x1000, False), (CM4, NEW, 0x1000, False),
        (PI_400, NEW, 0x1000, False),
        (PI_4B_4, None, 0x1000, False), (None, NEW, 0x1000, False), (PI_5, OLD, None, False),
    ],
)  # fmt: skip
def test_a_power_on_is_believed_where_the_boot_loader_keeps_the_cause(
    tmp_path: Path, revision: int | None, loader: int | None, cause: int | None, by_power: bool
) -> None:
    chip = "brcm,bcm2712" if revision == PI_5 else "brcm,bcm2711"
    for name, value in (
        ("system/linux,revision", revision), ("chosen/bootloader/build-timestamp", loader),
        ("chosen/bootloader/pm_rsts", cause),
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if value is not None:
            path.write_bytes(value.to_bytes(4))
    (tmp_path / "compatible").write_bytes(f"raspberrypi,some-board\0{chip}\0".encode())
    words = ["busybox", "sh", "-euc", f". {INITRAMFS}/heal.sh; if by_power; then echo power; else echo other; fi"]
    environment = {"TREE": str(tmp_path), "PATH": "/bin:/usr/bin"}
    said = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert (said.stdout, said.stderr) == ("power\n" if by_power else "other\n", "")


def test_power_that_goes_ten_times_tries_the_same_root_in_the_other_slot(card: Card) -> None:
    """People pull the plug of a start that hangs."""
    card.hold("b", "aaaa")
    assert [card.start(power=True) for _ in range(10)] == ["starts bad=0"] * 9 + ["restarts"]
    assert card.call("get-primary") == "b"


@pytest.mark.parametrize("fat", ["read-only", "keeps nothing"])
def test_a_boot_partition_that_takes_no_change_costs_no_start(card: Card, fat: str) -> None:
    """Otherwise it would restart forever, with two good slots."""
    before = card.marked("b")
    assert {card.start(fat=fat) for _ in range(6)} == {"starts bad=0"}
    assert card.call("get-primary") == "a"
    assert card.marked("b") == before
    assert not (card.boot / "config.new").exists()
    assert not (card.boot / "linetap-boot.txt").exists(), "nothing is announced that does not come"
    assert card.start() == "restarts", "once it takes one"


def test_a_full_boot_partition_changes_its_slot_all_the_same(card: Card) -> None:
    """config.txt is overwritten in place; there is no room for the note."""
    assert [card.start(fat="full", opens=False) for _ in range(3)] == ["", "", "restarts"]
    assert card.call("get-primary") == "b"
    assert not (card.boot / "linetap-boot.txt").exists()


def test_power_that_goes_while_all_is_well_counts_for_nothing(card: Card) -> None:
    for _ in range(6):
        assert card.start() == "starts bad=0"
        card.call("set-state", "a", "good")
    assert card.call("get-primary") == "a"


def test_a_restart_in_good_order_is_no_failure(card: Card) -> None:
    for _ in range(6):
        assert card.start() == "starts bad=0"
        card.call("ended")
    assert card.call("get-primary") == "a"


@pytest.mark.parametrize("what", ["empty", "never good", "another root since", "rotten", "no kernel"])
def test_a_slot_that_is_none_is_not_gone_to(card: Card, what: str) -> None:
    match what:
        case "empty":
            (card.boot / "b" / "config.txt").unlink()
        case "never good":
            card.mark("b", "mark_good=0")
        case "another root since":
            card.mark("b", ":")
            marks(card.parts / "linetap-b", 'mark_good=1; mark_write "$1" cccc', "cccc")
        case "no kernel":
            (card.boot / "b" / "vmlinuz").write_text("")
    rotten = "b" if what == "rotten" else ""
    assert {card.start(opens=False, rotten=rotten) for _ in range(8)} == {""}
    assert card.call("get-primary") == "a"
    pauses = card.pauses()
    assert [seconds for _, seconds in pauses] == sorted(seconds for _, seconds in pauses)
    assert pauses[0] == (3, 5)
    assert pauses[-1][1] >= 300, "an endless loop has a pause"


def test_the_same_root_in_both_needs_no_word(card: Card) -> None:
    """A new unit that never was good: its other slot costs nothing."""
    card.hold("b", "aaaa")
    card.mark("a", "mark_good=0")
    assert [card.start(opens=False) for _ in range(3)] == ["", "", "restarts"]
    assert card.call("get-primary") == "b"


def test_what_has_rotted_is_mended_from_the_same_root(card: Card) -> None:
    card.hold("b", "aaaa")
    assert card.start(opens=False) == ""
    assert card.start(rotten="a") == "starts bad=0", "one start, and not three"
    told = (card.boot / "linetap-boot.txt").read_text()
    assert "after 60 minutes" in told, "who reads it meanwhile does not pull the card"
    assert "60분이 지나도" in told
    assert card.marked("a")["mended"] == 4
    assert card.call("get-primary") == "a"


def test_what_has_rotted_and_cannot_be_mended_is_left_at_once(card: Card) -> None:
    card.start()
    card.call("set-state", "a", "good")
    assert card.start(rotten="a") == "restarts"
    assert card.call("get-primary") == "b"
    assert card.marked("a")["bad"] == 1


def test_where_both_have_rotted_it_goes_on_as_it_is_and_reports_it(card: Card) -> None:
    card.start()
    card.call("set-state", "a", "good")
    assert card.start(rotten="a b") == "starts bad=1", "a block that nothing reads costs nothing"
    told = (card.boot / "linetap-boot.txt").read_text()
    assert "Next: this slot as it is" in told
    assert "after 10 minutes" in told


@pytest.mark.parametrize(("unknown", "mapped"), [
    ("none", "panic_on_corruption panic_on_error"), ("panic_on_error", "panic_on_corruption"),
    ("panic_on_corruption", ""),
])  # fmt: skip
def test_a_kernel_that_lacks_a_word_starts_without_it(card: Card, unknown: str, mapped: str) -> None:
    assert card.start(unknown=unknown) == "starts bad=0"
    assert (card.root / "mapped").read_text().strip() == mapped


def test_two_slots_that_fail_alternate_ever_more_slowly(card: Card) -> None:
    went = []
    for _ in range(12):
        card.start(opens=False)
        went.append(card.call("get-primary"))
    assert went == list("aabbbaaabbba"[: len(went)])
    assert card.pauses()[-1][1] >= 300
    assert len((card.boot / "linetap-boot.txt").read_bytes()) == 4096, "it is one page, however often"


def test_a_version_on_trial_leaves_nothing(card: Card) -> None:
    """The next start is the old version's in any case; only the update may change config.txt."""
    card.mark("b", "mark_good=0")
    before = (card.boot / "config.txt").read_bytes()
    assert [card.start(opens=False, slot="b") for _ in range(4)] == [""] * 4
    assert (card.boot / "config.txt").read_bytes() == before
    assert "Next: the version before" in (card.boot / "linetap-boot.txt").read_text()


@pytest.mark.parametrize("cut", range(1, 8))
def test_power_that_goes_while_the_slot_is_changed_leads_nowhere(card: Card, cut: int) -> None:
    """At each durable step: config.txt is the old or the new one, and whole."""
    settings = {(card.boot / slot / "config.txt").read_text() for slot in "ab"}
    assert [card.start(opens=False) for _ in range(2)] == ["", ""]
    assert card.start(opens=False, cut=cut) in ("cut", "restarts")
    assert (card.boot / "config.txt").read_text() in settings
    if card.call("get-primary") == "a":
        assert card.start(opens=False) == "restarts"
    assert card.call("get-primary") == "b"
    assert card.start() == "starts bad=0"


# --- A signed card


def test_a_signed_slot_that_fails_three_times_is_left_for_the_other(signed: Card) -> None:
    """It once had only one slot that starts, and never left it."""
    assert [signed.start(opens=False) for _ in range(3)] == ["", "", "restarts"]
    assert signed.primary() == "b"
    assert signed.start() == "starts bad=0"
    assert "- a/3: en -> slot b" in (signed.boot / "linetap-boot.txt").read_text()


def test_a_signed_slot_that_has_rotted_is_left_at_once(signed: Card) -> None:
    signed.start()
    signed.mark("a", "mark_good=1; mark_tries=1")
    assert signed.start(rotten="a") == "restarts"
    assert signed.primary() == "b"


@pytest.mark.parametrize("defect", ["rotten", "cut short", "no sum", "not a number", "empty"])
def test_a_signed_slot_whose_boot_img_has_rotted_is_not_gone_to(signed: Card, defect: str) -> None:
    """The boot loader would refuse it, and the unit would not start."""
    part, told = signed.parts / "linetap-boot-b", signed.boot / "b" / "boot.sum"
    match defect:
        case "rotten":
            part.write_bytes(part.read_bytes()[:-1] + b"?")
        case "cut short":
            part.write_bytes(part.read_bytes()[: 1 << 16])
        case "no sum":
            told.unlink()
        case "not a number":
            told.write_text("08 " + told.read_text())
        case "empty":
            (signed.boot / "b" / "config.txt").unlink()
    assert {signed.start(opens=False) for _ in range(6)} == {""}
    assert signed.primary() == "a"


@pytest.mark.parametrize("fat", ["read-only", "keeps nothing"])
def test_a_signed_card_that_takes_no_change_costs_no_start(signed: Card, fat: str) -> None:
    assert {signed.start(fat=fat) for _ in range(6)} == {"starts bad=0"}
    assert signed.primary() == "a"
    assert not (signed.boot / "autoboot.new").exists()
    assert signed.start() == "restarts", "once it takes one"


def test_a_signed_version_on_trial_leaves_nothing(signed: Card) -> None:
    signed.mark("b", "mark_good=0")
    assert [signed.start(opens=False, slot="b") for _ in range(4)] == [""] * 4
    assert signed.primary() == "a"
    assert "Next: the version before" in (signed.boot / "linetap-boot.txt").read_text()


@pytest.mark.parametrize("cut", range(1, 8))
def test_power_that_goes_while_a_signed_slot_is_changed_leads_nowhere(signed: Card, cut: int) -> None:
    assert [signed.start(opens=False) for _ in range(2)] == ["", ""]
    assert signed.start(opens=False, cut=cut) in ("cut", "restarts")
    if signed.primary() == "a":  # fails if the file is neither
        assert signed.start(opens=False) == "restarts"
    assert signed.primary() == "b"
    assert signed.start() == "starts bad=0"
