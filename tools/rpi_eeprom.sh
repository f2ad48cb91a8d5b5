#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches Raspberry Pi's own tool and its signed example, at two commits, into a folder: tests/image/test_signed.py
# compares the image's signatures with them. Not part of ./build.sh test, which needs only Debian's mirror.
# usage: tools/rpi_eeprom.sh [DIR]
set -euo pipefail
readonly TARGET=${1:-build/rpi-eeprom} FROM=https://raw.githubusercontent.com/raspberrypi
readonly EEPROM=rpi-eeprom/86759b04b22173e10186139ac3ae4debcd0d7252
readonly USBBOOT=usbboot/87d6e03272b0ae155d85a125bfdec03e3d4a1095/secure-boot-example

mkdir -p "$TARGET"
cd "$TARGET"
for place in "$EEPROM/rpi-eeprom-digest" "$USBBOOT/example-public.pem" "$USBBOOT/boot.sig"; do
  curl --silent --show-error --fail --location --output "$(basename "$place")" "$FROM/$place"
done
sha256sum --check --quiet <<'END'
2885e3603f9d89995cf5b033f2a616bd1e932547c1d3cffff1ad98e427996a03  rpi-eeprom-digest
68ca9131f18494b709ab1847aeedc978bf92e5afea0d757b91083c400ae1451b  example-public.pem
39502ef54314778f8f0af57a2df0686f84b78456cd5165f8d7d9083728706772  boot.sig
END
chmod 755 rpi-eeprom-digest
