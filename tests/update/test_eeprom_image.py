# SPDX-License-Identifier: Apache-2.0
"""An image of the EEPROM: its own data, and another configuration in it, byte for byte as made by Raspberry Pi's own
rpi-eeprom-config (commit 86759b04 of raspberrypi/rpi-eeprom, 2026-08-19).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eeprom_file import FACTORY, NEW_S, OURS, image
from linetap.update.eepromimage import MOST_CONFIG_BYTES, BadImage, EepromImage

AT_S, LIMIT_S = 1_780_000_000, 60
SHAPES = {"Pi 4": ("bcm2711", False), "Pi 5": ("bcm2712", False), "Pi 5, two copies": ("bcm2712", True)}
CONFIGS = {"ours": OURS, "empty": b"", "longer": OURS * 40}
# SHA-256 of the results of `rpi-eeprom-config --config C --timestamp AT_S --out - IMAGE`.
VENDORS = {
    ("Pi 4", "ours"): "33c3a6dc134f668d7063dc697ea73379add987943405e10f70afb3533be744be",
    ("Pi 4", "empty"): "a614647c93e8179876a54218a78dceb96dd76038a76755a72dc325a1cca50594",
    ("Pi 4", "longer"): "f6279a9564671d73a8b1b473216a30fb30f14dd39ad89c01d3b310fca2947bd0",
    ("Pi 5", "ours"): "2e9c60dd7097e793bfc0f71dc3bb574b90722930087a21a940a589faf022afe5",
    ("Pi 5", "empty"): "ed8cf002006e2975977d5b0b08592d7f48fc34b3e6192d595e0c6c5e07330b76",
    ("Pi 5", "longer"): "897cd03e15f2249fca38aaa9e6a9d6c12dd02af3f105767beb6062a3f8cc41ef",
    ("Pi 5, two copies", "ours"): "8f00db890c804aacc332a8956a8a9ad4aaa763d5e5e75739b002289e77fc5b54",
    ("Pi 5, two copies", "empty"): "c7a3fffa8eec8ae413d95eff095a4a07c0407743da168d58990efcac8c990864",
    ("Pi 5, two copies", "longer"): "365dcc800b9274b3f47639e9d3340f3b596ff945b29dce104c9898585d92f78e",
}
TOOL = os.environ.get("LINETAP_RPI_EEPROM", "")  # a checkout of raspberrypi/rpi-eeprom


def made(shape: str) -> EepromImage:
    chip, copies = SHAPES[shape]
    return EepromImage(image(chip, NEW_S, copies=copies))


@pytest.mark.parametrize("shape", SHAPES)
def test_what_it_says_of_itself(shape: str) -> None:
    found = made(shape)
    assert (found.chip, found.built_s, found.made_for, found.config) == (SHAPES[shape][0], NEW_S, 1, FACTORY)


@pytest.mark.parametrize(("shape", "config"), [(shape, config) for shape in SHAPES for config in CONFIGS])
def test_another_configuration_as_the_vendor_makes_it(shape: str, config: str) -> None:
    found = made(shape).with_config(CONFIGS[config], AT_S)
    assert hashlib.sha256(found).hexdigest() == VENDORS[shape, config]
    assert EepromImage(found).config == CONFIGS[config]


def test_its_own_configuration_stays_where_none_is_given() -> None:
    assert EepromImage(made("Pi 4").with_config(None, AT_S)).config == FACTORY


@pytest.mark.parametrize("shape", SHAPES)
def test_a_configuration_that_does_not_fit_is_refused(shape: str) -> None:
    with pytest.raises(BadImage, match="at most"):
        made(shape).with_config(b"#" * (MOST_CONFIG_BYTES + 1), AT_S)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes"),
        (bytes(512 << 10), "BUILD_TIMESTAMP"),
        (image("bcm2711", NEW_S).replace(b"bootconf.txt", b"bootconf.new"), r"no bootconf\.txt"),
        (b"\x55\xaa\x00\x0f" + image("bcm2711", NEW_S)[4:], "no section at byte 0"),
        (b"\x55\xaa\xf0\x0f\x7f" + image("bcm2711", NEW_S)[5:], "no section at byte 0"),
        (image("bcm2711", NEW_S)[:-1], "524287 bytes"),
    ],
)
def test_what_is_no_image_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadImage, match=why):
        EepromImage(data)


@pytest.mark.skipif(not TOOL, reason="raspberrypi/rpi-eeprom is not fetched: LINETAP_RPI_EEPROM names no checkout")
def test_published_images_as_the_vendors_program_makes_them(tmp_path: Path) -> None:
    """Each image of a release there, with configurations around each boundary. The program counts four bytes of a
    section's header too few: a configuration of more than 4,072 bytes ends in the next sector, which we refuse.
    """
    images = sorted(Path(TOOL).rglob("pieeprom-*.bin"))
    assert images
    for path in images:
        found = EepromImage(path.read_bytes())
        for size in (0, 1, 7, 8, 9, 20, 333, 2028, 4071, 4072, 4073, 4075, 4076, 4077):
            config = (b"BOOT_UART=0\n" * 400)[:size]
            (tmp_path / "config").write_bytes(config)
            words: list[str | Path] = ["--config", tmp_path / "config", "--timestamp", str(AT_S)]
            words += ["--out", tmp_path / "out", path]
            done = subprocess.run(
                [sys.executable, Path(TOOL) / "rpi-eeprom-config", *words],
                capture_output=True, timeout=LIMIT_S, check=False,
            )  # fmt: skip
            if done.returncode or size > MOST_CONFIG_BYTES:
                with pytest.raises(BadImage):
                    found.with_config(config, AT_S)
            else:
                assert found.with_config(config, AT_S) == (tmp_path / "out").read_bytes(), (path, size)
