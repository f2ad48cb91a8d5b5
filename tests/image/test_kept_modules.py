# SPDX-License-Identifier: Apache-2.0
"""The root's modules: the boards', the initramfs', those of kept-modules.txt, what they depend on, and no other.

The build's step is applied to a small tree of modules, with this machine's own depmod and modprobe.
"""

from __future__ import annotations

import lzma
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
LIST = PROJECT / "image/kept-modules.txt"
VERSION = "7.0-test"
# A module as depmod sees it: the symbols that it has and asks for. `needs`: another module's.
SOURCE = """
.section .modinfo,"a"
.asciz "license=GPL"
.asciz "name={name}"
.asciz "depends={needs}"
.section __ksymtab_strings,"a"
.asciz "{name}_call"
.section .data
.globl {name}_call
{name}_call: .quad 0
{ask}
"""
STEP = f"""
kernel() {{ echo {VERSION}; }}
say() {{ :; }}
fail() {{ echo "$*" >&2; exit 1; }}
. image/steps/kernel.sh
of_kernel() {{ printf 'genet\\n'; }}
wanted_modules() {{ printf 'ext4\\n'; }}
cd "$1" && keep_modules
"""


def module(path: Path, needs: str = "") -> None:
    name = path.stem.replace("-", "_")
    path.parent.mkdir(parents=True, exist_ok=True)
    source = SOURCE.format(name=name, needs=needs, ask=f".quad {needs}_call" if needs else "")
    subprocess.run(["as", "-o", path, "-"], input=source.encode(), check=True, timeout=60)


def root_with(folder: Path, *left_out: str) -> Path:
    """Modules in their folders: the listed ones, those of the step above, and others."""
    kernel = folder / "root/usr/lib/modules" / VERSION / "kernel"
    for name, kind in listed():
        if name not in left_out and kind != "emulated":
            module(kernel / f"listed/{name}.ko")
    module(kernel / "drivers/net/mii.ko")
    module(kernel / "drivers/net/genet.ko", "mii")
    module(kernel / "fs/ext4.ko")
    module(kernel / "net/sctp.ko")
    module(kernel / "fs/nfs/sunrpc.ko")
    packed = kernel / "fs/nfs/nfs.ko"
    module(packed, "sunrpc")
    for path in (kernel / "drivers/net/mii.ko", packed):
        Path(f"{path}.xz").write_bytes(lzma.compress(path.read_bytes(), check=lzma.CHECK_CRC32))
        path.unlink()
    module(kernel.parent / "updates/linetap_rv3028.ko")
    (folder / "root/lib").symlink_to("usr/lib")
    (folder / "image").symlink_to(PROJECT / "image")
    (folder / "work").mkdir()
    return kernel.parent


def keep(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"ROOT": "root", "WORK": str(folder / "work"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    command = ["bash", "-euo", "pipefail", "-c", STEP, "keep", str(folder)]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def listed() -> list[tuple[str, str]]:
    """Name and kind of each module of the list."""
    lines = [line.partition("#")[0].split() for line in LIST.read_text().splitlines()]
    return [(words[0], " ".join(words[1:])) for words in lines if words]


def test_what_is_needed_stays_and_nothing_else(tmp_path: Path) -> None:
    modules = root_with(tmp_path, "pwm-rp1")
    done = keep(tmp_path)
    assert done.returncode == 0, done.stderr
    found = {path.name for path in modules.rglob("*.ko*")}
    assert {"genet.ko", "mii.ko", "ext4.ko", "nf_tables.ko", "linetap_rv3028.ko"} <= found, (
        "unpacked, with what they need"
    )
    assert not {"sctp.ko", "sunrpc.ko", "nfs.ko", "nfs.ko.xz", "mii.ko.xz"} & found
    assert not (modules / "kernel/fs/nfs").exists()
    assert "sctp" not in (modules / "modules.dep").read_text(), "nor does modprobe know it"


def test_a_kernel_that_lacks_a_module_of_the_list_ends_the_build(tmp_path: Path) -> None:
    root_with(tmp_path, "nft_ct")
    done = keep(tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("the kernel has no module nft_ct\n")


@pytest.mark.parametrize("line", ["nf_tables perhaps", "nf_tables emulated optional"])
def test_a_line_of_another_kind_ends_the_build(line: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"# one\n{line}\n")
    script = f'fail() {{ echo "$*" >&2; exit 1; }}; . image/steps/kernel.sh; named_modules {tmp_path}/list'
    environment = {"PATH": "/usr/bin:/bin", "ROOT": "r", "WORK": "w"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert line in done.stderr


def test_each_module_is_listed_once_with_a_known_kind() -> None:
    names = [name for name, _ in listed()]
    assert len(names) == len(set(names))
    assert all(kind in ("", "emulated", "optional") for _, kind in listed())


def test_every_serial_adapter_that_is_let_in_has_its_driver() -> None:
    """By the numbers of the makers, which the drivers' own tables name: FTDI, Silicon Labs, WCH, Prolific."""
    rules = (PROJECT / "image/root/etc/udev/rules.d/60-usb-linetap.rules").read_text()
    (makers,) = re.findall(r'ATTRS\{idVendor\}=="([0-9a-f|]+)", GOTO', rules)[:1]
    drivers = {"0403": "ftdi_sio", "10c4": "cp210x", "1a86": "ch341", "067b": "pl2303"}
    assert set(makers.split("|")) == drivers.keys()
    assert {*drivers.values(), "cdc-acm"} <= {name for name, _ in listed()}
