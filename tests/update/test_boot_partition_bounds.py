# SPDX-License-Identifier: Apache-2.0
"""Files of the boot partition that somebody has made huge, or whose words are patterns of names: the image's own
scripts read the beginning of each, in little memory, and go on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from boot_rig import IMAGE, LIMIT_S, SCRIPT, VERITY, Boot, files

INITRAMFS, LIBRARY = IMAGE / "initramfs", SCRIPT.parent
HUGE_BYTES = 96 << 20
MEMORY_KB = 48 << 10  # a shell needs a tenth


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    made = Boot(tmp_path, pi=False)
    made.lay("b", "0.2.0")
    (made.boot / "b/initramfs").write_text("x")
    return made


def make_huge(path: Path, text: str = "") -> None:
    """Text without an end of a line, then words."""
    path.write_text(text + "a " * (HUGE_BYTES // 2))


def run(boot: Boot, shell: list[str], script: str) -> str:
    done = subprocess.run(
        [*shell, "-uc", f"ulimit -v {MEMORY_KB}; {script}"], env=boot.environment, capture_output=True, text=True,
        timeout=LIMIT_S, check=False, cwd=boot.root,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.strip()


def initramfs(boot: Boot, script: str) -> str:
    """Runs it with the functions of a start in slot a, by the initramfs's shell."""
    names = [LIBRARY / name for name in ("marks", "blocks", "bootfiles", "autoboot")]
    names += [INITRAMFS / name for name in ("watch.sh", "tell.sh", "heal.sh")]
    begin = (
        f"BOOT={boot.boot} slot=a signed=0 verity={VERITY} hash=aaaa try=3 next='slot b' root={boot.parts}/linetap-a"
    )
    rest = "with_boot() { :; }; without_boot() { :; }; say() { :; }"
    return run(boot, ["busybox", "sh"], f"{begin}\n" + "".join(f". {name}\n" for name in names) + f"{rest}\n{script}")


@pytest.mark.parametrize("words", ["get-primary", "get-current", "get-state b", "report", "set-state a good"])
@pytest.mark.parametrize("name", ["config.txt", "tryboot.txt", "b/cmdline.txt", "b/config.txt", "autoboot.txt"])
def test_a_huge_file_costs_no_memory(boot: Boot, words: str, name: str) -> None:
    text = (boot.boot / name).read_text() if (boot.boot / name).exists() else ""
    make_huge(boot.boot / name, text)
    said = run(boot, ["sh"], f"{SCRIPT} {words}")
    if words == "get-primary":
        assert said == "a"


def test_words_of_a_command_line_are_no_patterns(boot: Boot) -> None:
    """A star was once replaced by the names of the current folder."""
    (boot.root / "linetap.verity=1:bbbb:5a17").touch()
    (boot.boot / "b/cmdline.txt").write_text("linetap.verity=*\n")
    assert initramfs(boot, 'other_slot; echo "$other_verity"') == ""
    run(boot, ["sh"], f"{SCRIPT} report")


@pytest.mark.parametrize("verity", ["1/0:aaaa:5a17", "x=7:aaaa:5a17", "08:aaaa:5a17", "1:aaaa", "9999999999:aaaa:5a17"])
def test_a_root_that_is_none_is_not_calculated_with(boot: Boot, verity: str) -> None:
    (boot.boot / "b/cmdline.txt").write_text(f"linetap.verity={verity} linetap.slot=b\n")
    assert initramfs(boot, "other_slot || echo none") == "none"


def test_a_start_leaves_its_note_over_a_huge_one(boot: Boot) -> None:
    make_huge(boot.boot / "linetap-boot.txt", "- a/1: earlier\n- " + "x" * 4000)
    initramfs(boot, "note ko 'it does not start.'")
    data = (boot.boot / "linetap-boot.txt").read_bytes()
    assert len(data) == 4096
    assert b"Slot a, start 3: it does not start." in data
    assert "- a/3: it does not start. -> slot b" in data.decode("utf-8").splitlines()


def test_earlier_steps_leave_room_for_the_new_one_and_control_no_terminal(boot: Boot) -> None:
    """Eleven lines of somebody else's once filled the page."""
    (boot.boot / "linetap-boot.txt").write_text(f"- \x1b[2J{'x' * 300}\n" * 12)
    initramfs(boot, "note ko 'it does not start.'")
    data = (boot.boot / "linetap-boot.txt").read_bytes()
    assert b"- a/3: it does not start. -> slot b" in data
    assert b"\x1b" not in data


def test_a_huge_sum_and_a_folder_for_it_are_no_sum(boot: Boot) -> None:
    part, sums = boot.parts / "linetap-boot-b", boot.boot / "b/boot.sum"
    part.write_bytes(bytes(65536))
    script = f"bootpart_whole {part} {sums} || echo none"
    make_huge(sums, "65536 ")
    assert initramfs(boot, script) == "none"
    sums.unlink()
    sums.mkdir()
    assert initramfs(boot, script) == "none"


def test_a_huge_config_of_a_slot_is_not_copied(boot: Boot) -> None:
    make_huge(boot.boot / "b/config.txt", files("0.2.0")["config.txt"].replace("@SLOT@", "b"))
    before = (boot.boot / "config.txt").read_bytes()
    assert initramfs(boot, f"copy_config {boot.boot} b config.txt || echo refused") == "refused"
    assert (boot.boot / "config.txt").read_bytes() == before
