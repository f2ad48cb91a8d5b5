# SPDX-License-Identifier: Apache-2.0
"""docs/hardening.md and the image's settings agree, and each difference from the quoted list has a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = (ROOT / "image/root/etc/sysctl.d/60-hardening.conf", ROOT / "systemd/sysctl.d/linetap.conf")
# The issue's settings: none may be removed with its row.
NEVER_GO = {
    "kernel.unprivileged_userns_clone": "0", "kernel.io_uring_disabled": "2", "dev.tty.ldisc_autoload": "0",
    "kernel.kexec_load_disabled": "1", "kernel.unprivileged_bpf_disabled": "1", "kernel.yama.ptrace_scope": "3",
    "kernel.sysrq": "0", "kernel.perf_event_paranoid": "3", "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv4.conf.default.accept_redirects": "0", "net.ipv6.conf.all.accept_redirects": "0",
    "net.ipv6.conf.default.accept_redirects": "0",
}  # fmt: skip


def settings() -> dict[str, str]:
    lines = [line for file in FILES for line in file.read_text().splitlines() if line and not line.startswith("#")]
    found = dict(line.removeprefix("-").split(" = ", 1) for line in lines)
    assert len(found) == len(lines), "one is set twice"
    return found


def rows(section: str) -> list[tuple[str, str, str, str]]:
    text = (ROOT / "docs/hardening.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    found = []
    for line in text.splitlines():
        if line.startswith("| `"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            name, asked, here, why = (cell.strip().replace("\\|", "|") for cell in cells)
            found.append((name.strip("`"), asked, here, why))
    return found


def test_every_setting_is_in_the_table_with_its_value_and_no_other() -> None:
    assert {name: here for name, _, here, _ in rows("sysctl") if here != "–"} == settings()


@pytest.mark.parametrize("section", ["sysctl", "Command line"])
def test_what_differs_has_a_reason(section: str) -> None:
    same = {"1": "on"}
    unsaid = [name for name, asked, here, why in rows(section) if here not in (asked, same.get(asked)) and not why]
    assert unsaid == []
    assert len(rows(section)) >= 15


def test_what_the_issue_names_is_set() -> None:
    assert {name: settings().get(name) for name in NEVER_GO} == NEVER_GO


def test_the_command_line_has_the_words_of_the_table() -> None:
    lines = (ROOT / "image/boot/cmdline.txt").read_text().splitlines()
    words = [word for line in lines for word in line.partition("#")[0].split()]
    expected = [name if here == "yes" else f"{name}={here}" for name, _, here, _ in rows("Command line") if here != "–"]
    assert [word for word in expected if word not in words] == []
    absent = [name for name, _, here, _ in rows("Command line") if here == "–"]
    assert [word for word in words if word.partition("=")[0] in absent] == []


def test_the_lockdown_comes_after_our_own_modules() -> None:
    unit = (ROOT / "image/root/etc/systemd/system/lockdown-linetap.service").read_text()
    module, lock = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert "/updates/*.ko; do modprobe --quiet " in module
    assert lock == "/bin/sh -c 'echo integrity >/sys/kernel/security/lockdown'"
    step = (ROOT / "image/steps/module.sh").read_text()
    away, rest = step.index('mv "$KIT/linetap/linetap_otp.ko" "$WORK/"'), step.index('"$KIT"/linetap/*.ko')
    assert away < rest, "the module that reads the board's key is in the initramfs alone"
    assert "lockdown-linetap.service" in (ROOT / "image/steps/root.sh").read_text()
