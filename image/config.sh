#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes the firmware's config.txt as one sector, so that it can be overwritten in place when the slot changes
# (root/usr/lib/linetap/bootfiles):
#   image/config.sh config.txt >OUT
# Comments are removed, and new ones fill it up to 512 bytes once each @SLOT@ is a letter. "Comments may be added [...]
# by starting a line with the # character", and everything after the 98th character of a line is ignored (Raspberry Pi,
# config_txt/what_is_config_txt.adoc). An `include` of a larger file is impossible: "not supported by [...] the EEPROM
# bootloader" (the same page), which reads start_file and fixup_file.
set -euo pipefail
readonly SECTOR=512 LINE=64

if [ "$#" -ne 1 ] || [ ! -s "$1" ]; then
  echo "config.sh: usage: config.sh config.txt" >&2
  exit 2
fi
settings=$(sed -e '/^[[:space:]]*#/d' -e '/^[[:space:]]*$/d' "$1" && printf .)
settings=${settings%.}
letters=${settings//@SLOT@/a}
left=$((SECTOR - $(printf %s "$letters" | wc -c)))
[ "$left" -ge 0 ] || {
  echo "config.sh: $1: $((SECTOR - left)) bytes without its comments, and a sector has $SECTOR" >&2
  exit 1
}
printf %s "$settings"
awk -v left="$left" -v line="$LINE" 'BEGIN { for (at = 1; at <= left; at++) printf "%s", at % line == 0 || at == left ? "\n" : "#" }'
