# SPDX-License-Identifier: Apache-2.0
"""The devices of a board that a unit uses: by the generic names of their nodes, and those that a bus enumerates.

`is_early` is what lies between the kernel and the root: those modules are in the initramfs, all others in the root.
"""

from __future__ import annotations

from dataclasses import dataclass

from boards.tree import Node


@dataclass(frozen=True, slots=True)
class Role:
    """`found`: names that the bus gives to what has no driver by its node. `is_needed`: each board has one."""

    name: str
    kinds: tuple[str, ...]
    is_early: bool = False
    found: tuple[str, ...] = ()
    is_needed: bool = False

    def plays(self, device: Node) -> bool:
        if device.kind not in self.kinds:
            return False
        # A serial port with something on it is Bluetooth's, which no unit uses.
        return self.name != "serial port" or not any(child.is_available() for child in device.children)


ROLES = (
    Role("card", ("mmc",), True, ("mmc:block",), is_needed=True),
    Role("PCI Express", ("pcie",), True, (
        "pci:v00001106d00003483sv00001106sd00003483bc0Csc03i30",  # VL805: the USB sockets of a Pi 4
        "pci:v0000144Dd0000A80Asv0000144Dsd0000A801bc01sc08i02",  # an NVMe disk, by its class
    ), is_needed=True),
    Role("USB", ("usb",), True, ("platform:xhci-hcd",)),  # drivers/usb/dwc3/host.c makes it: the sockets of a Pi 5
    Role("USB stick", (), True, (  # in the sockets of any board, whichever controller has them
        "usb:v0781p5583d0100dc00dsc00dp00ic08isc06ip50in00",  # Bulk-Only Transport
        "scsi:t-0x00",  # the disk in it
    )),
    # drivers/mfd/bcm2835-pm.c makes its device
    Role("watchdog", ("watchdog",), True, ("platform:bcm2835-wdt",), is_needed=True),
    Role("LED", ("leds",), True),  # it tells a start that failed
    Role("serial port", ("serial",)),
    Role("Ethernet", ("ethernet",), False, (
        "mdio:01100000000011011000010010100010",  # BCM54213PE, Pi 4B and 5
        "mdio:01100000000011011000010010100000",  # BCM54210PE, CM4
    ), is_needed=True),
    Role("Wi-Fi", (), False, ("sdio:c00v02D0dA9A6", "sdio:c00v02D0dA9BF")),  # CYW43455 on the second card controller
    Role("codec", (), False, ("usb:v0D8Cp0014d0100dc00dsc00dp00ic01isc01ip00in00",)),  # USB audio, by its class
    Role("GPIO", ("gpio", "pinctrl"), is_needed=True),
    Role("I2C", ("i2c",)),
    Role("clock chip", ("rtc",)),
    Role("processor's speed", (), False, ("platform:raspberrypi-cpufreq",)),  # of clk-raspberrypi.c
    Role("temperature", ("thermal",)),
)  # fmt: skip
