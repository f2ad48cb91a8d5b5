# SPDX-License-Identifier: Apache-2.0
"""LINETAP_KERNEL: a kernel is installed in root and kit from a folder of packages (image/steps/kernel.sh)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

IMAGE = Path(__file__).parents[2] / "image"
CONTROL = (
    "Package: {name}\nVersion: 6.12.1-1\nArchitecture: arm64\nMaintainer: a <a@example.org>\nDescription: a kernel\n"
)
FILES = {
    "linux-image-6.12-rpi-v8": (  # like Raspberry Pi's: /lib, and trees beside the modules
        "boot/vmlinuz-6.12-rpi-v8", "lib/modules/6.12-rpi-v8/kernel/drivers/mmc/host/sdhci.ko",
        "lib/modules/6.12-rpi-v8/kernel/drivers/gpu/drm/vc4.ko",
        "usr/lib/linux-image-6.12-rpi-v8/broadcom/bcm2711-rpi-4-b.dtb",
    ),
    "linux-headers-6.12-rpi-v8": ("usr/src/linux-headers-6.12-rpi-v8/Makefile",),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Packages built by dpkg-deb, a root whose /lib is a link, and a kit."""
    (tmp_path / "packages").mkdir()
    for name, files in FILES.items():
        add_package(tmp_path, name, *files)
    for place in ("root/usr/lib/modules", "kit", "work"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "root/lib").symlink_to("usr/lib")
    return tmp_path


def add_package(folder: Path, name: str, *files: str) -> None:
    tree = folder / "tree" / name
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(f"{name}\n")
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(CONTROL.format(name=name))
    made = folder / "packages" / f"{name}_6.12.1-1_arm64.deb"
    command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(made)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def laid(folder: Path) -> subprocess.CompletedProcess[str]:
    script = """set -euo pipefail
ROOT=root KIT=kit WORK=work
LEFT_OUT=('/usr/lib/modules/*/kernel/drivers/gpu/*')
say() { echo "$*"; }
fail() { echo "$*" >&2; exit 1; }
kernel() { basename "$ROOT"/usr/lib/modules/*; }
. "$STEP"
lay_kernel
trees_of_kernel"""
    environment = {"PATH": "/usr/bin:/bin", "LINETAP_KERNEL": "packages", "STEP": str(IMAGE / "steps/kernel.sh")}
    command = ["bash", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_vendors_kernel_is_laid_into_root_and_kit(folder: Path) -> None:
    done = laid(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "root/usr/lib/linux-image-6.12-rpi-v8"
    modules = folder / "root/usr/lib/modules/6.12-rpi-v8/kernel/drivers"
    assert (modules / "mmc/host/sdhci.ko").is_file()
    assert not (modules / "gpu/drm").exists(), "what no unit needs is left out of any kernel"
    assert (folder / "root/lib").is_symlink()
    assert (folder / "kit/usr/src/linux-headers-6.12-rpi-v8/Makefile").is_file()


def test_a_folder_without_a_kernel_is_reported(folder: Path) -> None:
    (folder / "packages/linux-image-6.12-rpi-v8_6.12.1-1_arm64.deb").unlink()
    done = laid(folder)
    assert done.returncode == 1
    assert "packages: there must be one kernel, with its modules and image" in done.stderr


def test_a_folder_with_two_kernels_is_reported(folder: Path) -> None:
    """Raspberry Pi's archive has -2712 beside -v8; both do not fit, and the started one would be random."""
    add_package(folder, "linux-image-6.12-rpi-2712", "lib/modules/6.12-rpi-2712/modules.order")
    done = laid(folder)
    assert done.returncode == 1
    assert "packages: there must be one kernel, and there are: 6.12-rpi-2712 6.12-rpi-v8" in done.stderr


def test_packages_that_no_image_is_made_of_are_left(folder: Path) -> None:
    add_package(folder, "linux-image-6.12-rpi-v8-dbg", "usr/lib/debug/lib/modules/6.12-rpi-v8/vmlinux")
    add_package(folder, "linux-libc-dev", "usr/include/linux/gpio.h")
    assert laid(folder).returncode == 0
    assert not (folder / "root/usr/lib/debug").exists()
    assert not (folder / "root/usr/include").exists()
