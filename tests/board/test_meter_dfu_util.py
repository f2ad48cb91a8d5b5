# SPDX-License-Identifier: Apache-2.0
"""dfu-util, an independent client (Debian's), finds the loader, reads its descriptors, and updates it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from linetap.meterprogram.image import LOADER, VENDOR, with_suffix
from loader_rig import RUN, Loader, forged, image
from meterbuild import METER

SHIM = Path(__file__).parents[1] / "usbshim" / "libusb.c"
LIMIT_S = 120
OLD, NEW = image((1, 2, 0)), image((1, 3, 0), seed=2, length=900)
_folder = TemporaryDirectory(prefix="linetap-usbshim-")

pytestmark = pytest.mark.skipif(shutil.which("dfu-util") is None, reason="dfu-util is not installed")


@cache
def shim() -> str:
    made = Path(_folder.name) / "libusb.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", made, SHIM], check=True, timeout=LIMIT_S)
    return str(made)


def dfu_util(device: Loader, *words: str) -> subprocess.CompletedProcess[str]:
    assert device.process.stdin is not None
    assert device.process.stdout is not None
    ends = [device.process.stdin.fileno(), device.process.stdout.fileno()]
    names = {"USBSHIM_OUT": str(ends[0]), "USBSHIM_IN": str(ends[1]), "LD_PRELOAD": shim(), "PATH": os.environ["PATH"]}
    return subprocess.run(
        ["dfu-util", "-d", "1209:0002", *words], env=names, pass_fds=ends, capture_output=True, text=True,
        timeout=LIMIT_S, check=False,
    )  # fmt: skip


def meter(device: Loader) -> None:
    device.lay(RUN, OLD)
    assert device.start()
    device.works_by_itself()


def test_it_lists_the_loader_by_its_name_and_number() -> None:
    with Loader() as device:
        meter(device)
        said = dfu_util(device, "-l").stdout
    assert 'Found DFU: [1209:0002] ver=0100, devnum=7, cfg=1, intf=0, path="1-2", alt=0' in said
    assert 'name="linetap meter loader", serial="003600215646500B20343257"' in said


def test_it_updates_a_meter_and_starts_it(tmp_path: Path) -> None:
    file = tmp_path / "meter.dfu"
    file.write_bytes(with_suffix(NEW))
    with Loader() as device:
        meter(device)
        done = dfu_util(device, "-D", str(file), "-R")
        assert done.returncode == 0, done.stderr
        assert "DFU mode device DFU version 0110" in done.stdout
        assert "Device returned transfer size 64" in done.stdout
        assert device.work(), "after the reset of the bus the loader leaves"
        assert device.start()
        assert device.flash(RUN, len(NEW)) == NEW


def test_it_says_that_the_meter_refused_what_is_not_signed(tmp_path: Path) -> None:
    file = tmp_path / "forged.dfu"
    file.write_bytes(with_suffix(forged((9, 0, 0))))
    with Loader() as device:
        meter(device)
        done = dfu_util(device, "-D", str(file))
        assert "dfuERROR, status(2) = File is for this device but fails some vendor-specific test" in done.stdout
        assert device.start()
        assert device.flash(RUN, len(OLD)) == OLD


def test_the_files_suffix_is_the_one_that_dfu_suffix_knows(tmp_path: Path) -> None:
    file = tmp_path / "meter.dfu"
    file.write_bytes(NEW)
    subprocess.run(["dfu-suffix", "-v", "1209", "-p", "0002", "-a", file], check=True, capture_output=True, timeout=60)
    assert file.read_bytes() == with_suffix(NEW)


def test_the_numbers_are_those_of_the_rules_and_of_the_command() -> None:
    assert f"#define PRODUCT {LOADER:#06x}u" in (METER / "loader" / "usbdfu.c").read_text()
    assert f"#define USB_VENDOR {VENDOR:#06x}u" in (METER / "usbdevice.h").read_text()
