# SPDX-License-Identifier: Apache-2.0
"""The kernel's files of a Raspberry Pi with some faults, for any root folder."""

from __future__ import annotations

from pathlib import Path

THROTTLED = "sys/bus/platform/devices/firmware:rpi-firmware/get_throttled"  # in mainline's trees
VENDORS_THROTTLED = "sys/bus/platform/devices/soc:firmware/get_throttled"  # in Raspberry Pi's
VOLTAGE = "sys/class/hwmon/hwmon1/in0_lcrit_alarm"
PI = {
    "proc/meminfo": "MemTotal:        3882988 kB\nMemFree:  9 kB\nMemAvailable:    3301540 kB\n",
    "proc/pressure/memory": (
        "some avg10=9.00 avg60=8.00 avg300=7.00 total=1\nfull avg10=1.00 avg60=2.50 avg300=3.00 total=1\n"
    ),
    "sys/class/thermal/thermal_zone0/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "99000\n",
    "sys/class/thermal/thermal_zone1/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "48312\n",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    VOLTAGE: "0\n",
    THROTTLED: "50005\n",
    "sys/fs/ext4/features/batched_discard": "supported\n",
    "sys/fs/ext4/mmcblk0p2/errors_count": "0\n",
    "sys/fs/ext4/mmcblk0p3/errors_count": "7\n",
    "sys/block/mmcblk0/device/life_time": "0x01 0x0B\n",
    "sys/block/mmcblk0/device/pre_eol_info": "0x02\n",
    "sys/block/mmcblk0boot0/device/life_time": "0x09 0x09\n",
    "sys/block/mmcblk1/device/type": "SD\n",
    "run/linetap-left": "",
    "run/linetap-slots": "a runs=1 good=1 falls=0 bad=0 mended=4\nb runs=0 good=1 falls=3 bad=0 mended=0\n",
    "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
    "proc/device-tree/chosen/bootloader/build-timestamp": "g\0\0\0",  # big-endian: 2024-10-04
}


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
