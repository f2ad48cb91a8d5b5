#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The firmware's config.txt as one sector, which is written in its place when the slot changes (root/usr/lib/linetap/bootfiles):
#   image/config.sh config.txt >OUT
# Without its comments, filled up with comments to 512 bytes once each @SLOT@ is a letter. "Comments may be added [...] by
# starting a line with the # character", and what is behind the 98th character of a line is ignored (Raspberry Pi,
# config_txt/what_is_config_txt.adoc). No `include` of a larger file: "not supported by [...] the EEPROM bootloader" (the same),
# which is the one that reads start_file and fixup_file.
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
