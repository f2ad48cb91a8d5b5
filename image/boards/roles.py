# SPDX-License-Identifier: Apache-2.0
"""The devices of a board that a unit uses: by the generic names of their nodes, or as enumerated by a bus.

`is_early`: needed between the kernel and the root; those modules are in the initramfs too.
"""

from __future__ import annotations

from dataclasses import dataclass

from boards.tree import Node


@dataclass(frozen=True, slots=True)
class Role:
    """A use of a device. `found`: the bus's names for devices without a driver by their node. `is_needed`: each board
    has one.
    """

    name: str
    kinds: tuple[str, ...]
    is_early: bool = False
    found: tuple[str, ...] = ()
    is_needed: bool = False

    def plays(self, device: Node) -> bool:
        if device.kind not in self.kinds:
            return False
        # A serial port with a child node is Bluetooth's, which no unit uses.
        return self.name != "serial port" or not any(child.is_available() for child in device.children)


ROLES = (
    Role("card", ("mmc",), True, ("mmc:block",), is_needed=True),
    Role("PCI Express", ("pcie",), True, (
        "pci:v00001106d00003483sv00001106sd00003483bc0Csc03i30",  # VL805: the USB sockets of a Pi 4
        "pci:v0000144Dd0000A80Asv0000144Dsd0000A801bc01sc08i02",  # an NVMe disk, by its class
    ), is_needed=True),
    Role("USB", ("usb",), True, ("platform:xhci-hcd",)),  # made by drivers/usb/dwc3/host.c: the sockets of a Pi 5
    Role("USB stick", (), True, (  # in the sockets of any board, with any controller
        "usb:v0781p5583d0100dc00dsc00dp00ic08isc06ip50in00",  # Bulk-Only Transport
        "scsi:t-0x00",  # the disk in it
    )),
    # drivers/mfd/bcm2835-pm.c creates its device
    Role("watchdog", ("watchdog",), True, ("platform:bcm2835-wdt",), is_needed=True),
    Role("LED", ("leds",), True),  # signals a failed start
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
    Role("processor's speed", (), False, ("platform:raspberrypi-cpufreq",)),  # made by clk-raspberrypi.c
    Role("temperature", ("thermal",)),
    Role("random numbers", ("rng",)),
)  # fmt: skip
