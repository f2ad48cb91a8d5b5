# SPDX-License-Identifier: Apache-2.0
"""The choice of the slot, with the firmware's memory and without: a try is for one boot, and after any power cut a slot
starts.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from boot_rig import Boot


@pytest.fixture(params=[True, False], ids=["pi", "emulated"])
def boot(request: pytest.FixtureRequest, tmp_path: Path) -> Boot:
    return Boot(tmp_path, pi=request.param)


def installed(boot: Boot, version: str = "0.2.0") -> str:
    """Installs like RAUC; returns the slot."""
    slot = "b" if boot.call("get-primary") == "a" else "a"
    boot.call("set-state", slot, "bad")
    boot.lay(slot, version)
    return slot


def test_a_new_card(boot: Boot) -> None:
    assert boot.call("get-current") == boot.call("get-primary") == "a"
    assert boot.call("get-state", "a") == "good"
    assert boot.call("get-state", "b") == "bad", "it ships empty"
    assert "empty" in boot.call("set-primary", "b", code=1)
    assert "empty" in boot.call("set-state", "b", "good", code=1)
    boot.call("trial", code=1)


def test_a_new_version_is_tried_and_kept(boot: Boot) -> None:
    installed(boot)
    assert boot.call("get-state", "b") == "good"
    boot.power_cut()
    assert boot.kernel == "kernel 0.1.0", "nobody has said that it is to be tried"
    boot.call("set-primary", "b")
    assert boot.call("get-primary") == "a"
    assert (boot.boot / "tryboot").exists() != boot.pi, "a firmware that forgets leaves none behind"
    boot.reboots()
    assert (boot.kernel, boot.call("get-current"), boot.call("get-primary")) == ("kernel 0.2.0", "b", "a")
    boot.call("trial")
    boot.call("set-state", "b", "good")
    assert boot.call("get-primary") == "b"
    boot.call("trial", code=1)
    boot.power_cut()
    assert (boot.kernel, boot.call("get-current")) == ("kernel 0.2.0", "b")
    boot.call("trial", code=1)
    assert "# 0.2.0" in (boot.boot / "config.txt").read_text(), "the firmware's settings are the version's own"


@pytest.mark.parametrize("name", ["tryboot.txt", "tryboot.new", "config.new"])
def test_a_folder_of_the_name_of_a_file_is_replaced(boot: Boot, name: str) -> None:
    (boot.boot / name).mkdir()
    (boot.boot / name / "x.txt").write_text("left by a PC")
    installed(boot)
    boot.call("set-primary", "b")
    boot.reboots()
    assert boot.kernel == "kernel 0.2.0"
    boot.call("set-state", "b", "good")
    (boot.boot / "a" / "config.txt").write_text("[all]\nos_prefix=a/\n# of another length\n")
    boot.call("set-primary", "a")
    boot.reboots()
    assert boot.kernel == "kernel 0.1.0"


def test_what_is_not_kept_is_gone_with_the_next_start(boot: Boot) -> None:
    """Power, panic, watchdog: the same for the firmware."""
    installed(boot)
    boot.call("set-primary", "b")
    boot.reboots()
    assert boot.kernel == "kernel 0.2.0"
    boot.power_cut()
    assert boot.kernel == "kernel 0.1.0"
    boot.call("trial", code=1)


def test_a_trial_that_gives_up_is_not_tried_again(boot: Boot) -> None:
    installed(boot)
    boot.call("set-primary", "b")
    boot.reboots()
    boot.reboots()
    assert boot.kernel == "kernel 0.1.0"


def test_old_and_new_by_turns(boot: Boot) -> None:
    for turn, version in enumerate(("0.2.0", "0.3.0", "0.4.0")):
        slot = installed(boot, version)
        assert slot == "ba"[turn % 2]
        boot.call("set-primary", slot)
        boot.reboots()
        boot.call("set-state", slot, "good")
        boot.power_cut()
        assert (boot.kernel, boot.call("get-current")) == (f"kernel {version}", slot)


def test_what_starts_is_never_given_up(boot: Boot) -> None:
    assert "what starts" in boot.call("set-state", "a", "bad", code=1)
    installed(boot)
    boot.call("set-primary", "b")
    boot.reboots()
    assert "what starts" in boot.call("set-state", "a", "bad", code=1), "nor the way back from a trial"


def test_a_slot_that_is_being_written_is_not_tried(boot: Boot) -> None:
    installed(boot)
    boot.call("set-primary", "b")
    boot.call("set-state", "b", "bad")
    assert boot.call("get-state", "b") == "bad"
    if not boot.pi:
        boot.power_cut()
        assert boot.kernel == "kernel 0.1.0", "the try of what was there before does not count"


def test_a_try_may_be_cancelled(boot: Boot) -> None:
    installed(boot)
    boot.call("set-primary", "b")
    boot.call("set-primary", "a")
    if not boot.pi:
        boot.power_cut()
    assert boot.call("get-current") == "a"


def test_marked_good_where_it_is_already_changes_nothing(boot: Boot) -> None:
    before = (boot.boot / "config.txt").read_bytes()
    boot.call("set-state", "a", "good")
    installed(boot)
    boot.call("set-state", "b", "good")
    assert (boot.boot / "config.txt").read_bytes() == before, "good is not: what starts"


def test_without_a_boot_partition_the_firmware_has_a_word_for_a_trial(boot: Boot) -> None:
    """The unit then returns to the old slot; without a trial nothing changes."""
    installed(boot)
    boot.call("set-primary", "b")
    (boot.boot / "config.txt").rename(boot.root / "gone")
    boot.call("trial", code=1)
    (boot.root / "gone").rename(boot.boot / "config.txt")
    boot.reboots()
    (boot.boot / "config.txt").unlink()
    boot.call("trial", code=0 if boot.pi else 1)


@pytest.mark.parametrize(
    "words", ["", "?", "get-state", "get-state c", "set-state b", "set-state b fine", "set-primary", "set-primary ../a"]
)
def test_anything_else_is_refused_in_one_line(boot: Boot, words: str) -> None:
    said = boot.call(*words.split(), code=1)
    assert said.startswith("slots: ")
    assert "\n" not in said
