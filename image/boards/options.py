# SPDX-License-Identifier: Apache-2.0
"""The options that the image requires of a kernel's configuration besides drivers; a vendor's kernel too must have
them."""

from __future__ import annotations

NEEDED = {
    "BLK_DEV_INITRD": "the initramfs", "RD_ZSTD": "the initramfs, as it is packed", "DEVTMPFS": "its devices",
    "DM_VERITY": "the root is checked block by block", "SQUASHFS_ZSTD": "the root, as it is packed",
    "OVERLAY_FS": "/etc", "EXT4_FS": "state and data", "VFAT_FS": "the boot partition",
    "DM_CRYPT": "an encrypted card", "DM_INTEGRITY": "an encrypted card",
    "RASPBERRYPI_FIRMWARE": "tryboot, and what throttles a Pi", "BCM2835_WDT": "a kernel that hangs starts again",
    "GPIO_CDEV": "hook, relays, LEDs and button", "SND_USB_AUDIO": "the codec", "RTC_HCTOSYS": "the clock chip's time",
    "PSI": "memory_low: how long programs wait for memory", "NF_TABLES": "the firewall",
    "SECCOMP_FILTER": "the services' sandboxes", "CGROUPS": "their shares of the processor", "USER_NS": "their users",
}  # fmt: skip


def faults(text: str) -> list[str]:
    """`text`: the kernel's .config."""
    known = dict(line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_") and "=" in line)
    missing = {name: why for name, why in NEEDED.items() if known.get(f"CONFIG_{name}") not in ("y", "m")}
    return [f"the kernel is built without CONFIG_{name}: {why}" for name, why in missing.items()]
