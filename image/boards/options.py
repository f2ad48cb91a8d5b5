# SPDX-License-Identifier: Apache-2.0
"""The kernel options that the image requires besides drivers, from a vendor's kernel too. `CLOSED`: optional hardening;
docs/hardening.md describes a unit without it.
"""

from __future__ import annotations

NEEDED = {
    "BLK_DEV_INITRD": "the initramfs", "RD_ZSTD": "the initramfs, as it is packed", "DEVTMPFS": "its devices",
    "DM_VERITY": "the root is checked block by block", "SQUASHFS_ZSTD": "the root, as it is packed",
    "OVERLAY_FS": "/etc", "EXT4_FS": "state and data", "VFAT_FS": "the boot partition",
    "DM_CRYPT": "an encrypted card", "DM_INTEGRITY": "an encrypted card",
    "RASPBERRYPI_FIRMWARE": "tryboot, and what throttles a Pi", "BCM2835_WDT": "a kernel that hangs starts again",
    "GPIO_CDEV": "hook, relays, LEDs and button", "SND_USB_AUDIO": "the codec", "RTC_HCTOSYS": "the clock chip's time",
    "PSI": "memory_low: how long programs wait for memory", "NF_TABLES": "the firewall",
    "NF_TABLES_INET": "the firewall, for IPv4 and IPv6", "NFT_CT": "the firewall admits answers",
    "NFT_LIMIT": "the firewall limits echoes", "VLAN_8021Q": "a unit in a VLAN",
    "SECCOMP_FILTER": "the services' sandboxes", "CGROUPS": "their shares of the processor", "USER_NS": "their users",
    "MEMCG": "the most memory that each may have", "EFI_PARTITION": "the card's table of partitions",
    "NVMEM_RMEM": "the EEPROM's configuration, which a new boot loader keeps",
    "BPF_SYSCALL": "the services' addresses and devices", "CGROUP_BPF": "the same: systemd ignores them without a word",
    "BLK_DEV_LOOP": "an update's bundle", "ARM64_4K_PAGES": "a Pi 4's processor has no pages of 16 KiB",
}  # fmt: skip
CLOSED = {
    "SECURITY_LOCKDOWN_LSM": "root can change the kernel that runs: no lockdown",
    "MODULE_SIG": "root can load any module: none is signed",
    "SECURITY_YAMA": "a program can look into another of its own user",
    "STRICT_DEVMEM": "root can read and write all memory through /dev/mem",
    "HARDENED_USERCOPY": "copies from and to a program are not checked against the object that they are of",
    "FORTIFY_SOURCE": "copies within the kernel are not checked against their buffers",
    "SHUFFLE_PAGE_ALLOCATOR": "free memory is handed out in its order",
    "SLAB_FREELIST_RANDOM": "objects of a kind lie in their order",
    "SOFTLOCKUP_DETECTOR": "a kernel that hangs is found by the watchdog alone",
}


def faults(text: str) -> list[str]:
    """The missing required options; `text`: the kernel's .config."""
    return [f"the kernel is built without CONFIG_{name}: {why}" for name, why in _missing(text, NEEDED)]


def lost(text: str) -> list[str]:
    """One line for each protection that this kernel lacks."""
    return [f"without CONFIG_{name}: {why}" for name, why in _missing(text, CLOSED)]


def _missing(text: str, wanted: dict[str, str]) -> list[tuple[str, str]]:
    known = dict(line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_") and "=" in line)
    return [(name, why) for name, why in wanted.items() if known.get(f"CONFIG_{name}") not in ("y", "m")]
