# SPDX-License-Identifier: Apache-2.0
"""A TPM for the emulated machine: /dev/tpm0 through the kernel's own proxy, and a virtio serial port to the emulating
machine's swtpm.

Debian's kernel for arm64 supports no TPM of qemu. Usage: tpm_bridge.py PORT
"""

import fcntl
import os
import struct
import sys

NEW_DEVICE = 0xC014A100  # VTPM_PROXY_IOC_NEW_DEV, linux/vtpm_proxy.h
TPM2 = 1
SET_LOCALITY, DONE = 0x20001000, bytes.fromhex("80010000000a00000000")  # the driver's own; swtpm never receives it
LIMIT_BYTES = 4096


def main() -> None:
    asked = bytearray(struct.pack("=5I", TPM2, 0, 0, 0, 0))
    fcntl.ioctl(os.open("/dev/vtpmx", os.O_RDWR), NEW_DEVICE, asked)
    kernel = struct.unpack("=5I", asked)[2]
    port = os.open(sys.argv[1], os.O_RDWR)
    while True:
        command = os.read(kernel, LIMIT_BYTES)
        os.write(kernel, DONE if int.from_bytes(command[6:10], "big") == SET_LOCALITY else answered(port, command))


def answered(port: int, command: bytes) -> bytes:
    os.write(port, command)
    answer = b""
    while len(answer) < 10 or len(answer) < int.from_bytes(answer[2:6], "big"):
        answer += os.read(port, LIMIT_BYTES)
    return answer


main()
