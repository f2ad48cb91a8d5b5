# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The requirements of each board for starting and recording: derived from the kernel's trees (image/boards), and checked
# in the packed files. LINETAP_FIRMWARE names a folder with the Pi's firmware files, in place of Debian's.

readonly BEGIN=$ROOT/usr/lib/linetap/boot # the source of a slot's folder on the boot partition
readonly UNTOUCHED=$WORK/untouched        # the original of each tree that gets an overlay here

boards() { PYTHONPATH=image "$PYTHON" -m boards "$@"; }

of_kernel() {
  local command=$1
  shift
  boards "$command" --modules "$ROOT/usr/lib/modules/$(kernel)" --kernel "$ROOT/boot/vmlinuz-$(kernel)" --boot "$BEGIN" \
    --config image/boot/config.txt "$@"
}

lay_trees() {
  local source name trees
  say "device trees and overlays"
  mkdir -p "$BEGIN/overlays"
  trees=$(trees_of_kernel)
  boards trees "$trees/broadcom" "$BEGIN" || fail "the kernel has not the trees that it had"
  for source in hardware/overlay/*.dts image/boot/*.dts; do
    name=$(basename "$source" .dts)
    if [ "$name" = overlay_map ]; then name+=.dtb; else name+=.dtbo; fi
    dtc -q -@ -I dts -O dtb -o "$BEGIN/overlays/$name" "$source"
  done
  # The vendor's trees have other nodes, and so another difference between the two steppings.
  [ ! -e "$trees/overlays/bcm2712d0.dtbo" ] || cp "$trees/overlays/bcm2712d0.dtbo" "$BEGIN/overlays/"
  lay_into_trees
  printf 'Overlays of this slot.\n' >"$BEGIN/overlays/README" # required: the firmware ignores a folder without it
  boards options "$ROOT/usr/lib/modules/$(kernel)/config" >"$WORK/lost" || fail "the kernel cannot run this image"
  while read -r name; do say "$name"; done <"$WORK/lost" # docs/hardening.md
}

check_boards() {
  of_kernel table >"$OUT/boards.md" || fail "a board would lack what is named above"
  boards radio "$BEGIN" "$ROOT" || fail "a board would have no Wi-Fi"
}

# Applies overlays to the trees that they fit: an overlay named in config.txt would have to fit every tree. Of a Pi 5's
# only Raspberry Pi's have the serial ports of the header, and mainline's lack the node for the EEPROM's configuration
# (docs/update.md). Mainline's of a CM4 has the clock of a carrier.
lay_into_trees() {
  local tree
  for tree in "$BEGIN"/bcm2711*.dtb; do
    if fdtget "$tree" /i2c-mux0/i2c@1/rtc@51 reg >/dev/null 2>&1; then lay_into "$tree" clock-cm4; fi
  done
  for tree in "$BEGIN"/bcm2712*.dtb; do
    if fdtget "$tree" /__symbols__ rp1_uart0 >/dev/null 2>&1; then lay_into "$tree" uarts-pi5; fi
    if ! fdtget "$tree" /aliases blconfig >/dev/null 2>&1; then lay_into "$tree" blconfig-pi5; fi
  done
  rm "$BEGIN"/overlays/{uarts-pi5,blconfig-pi5,clock-cm4}.dtbo
}

# The original tree stays in $UNTOUCHED: contents.py identifies it by its size.
lay_into() {
  mkdir -p "$UNTOUCHED"
  [ -e "$UNTOUCHED/$(basename "$1")" ] || cp "$1" "$UNTOUCHED/"
  fdtoverlay -i "$1" -o "$WORK/tree.dtb" "$BEGIN/overlays/$2.dtbo" || fail "$2 does not fit $(basename "$1")"
  mv "$WORK/tree.dtb" "$1"
}

# One module a line: the clock, then those from the trees, and those without a node.
wanted_modules() {
  echo bcm2835_wdt
  if_there i6300esb emulated
  of_kernel early || fail "a board would not come to its root"
  named_modules image/initramfs/modules.txt
}

check_packed() { of_kernel packed "$1" || fail "the initramfs lacks what is named above"; }

# Copies the firmware's own files named by config.txt into the root: they belong to a slot. A Pi 4 reads them before it
# applies os_prefix, so each slot's are beside the folders under their own names: @SLOT@ in config.txt, no letter in the
# root.
lay_firmware() {
  local from=${LINETAP_FIRMWARE:-$KIT/usr/lib/raspi-firmware} into=$ROOT/usr/lib/linetap/firmware name made
  boards start image/boot/config.txt >"$WORK/start"
  sed -i 's/@SLOT@//' "$WORK/start"
  while read -r name; do
    [ -e "$from/$name" ] || fail "config.txt asks for $name, and $from has none"
    install -D -m 644 -t "$into" "$from/$name"
    made=$(strings -n 12 "$from/$name" | sed -n 's/^VC_BUILD_ID_TIME: \([A-Z].*\)/\1/p')
    [ -z "$made" ] || say "$name of $made" # check_card refuses an old one
  done <"$WORK/start"
}

# Copies this version's boot loaders for the EEPROM, if the site supplies them: LINETAP_EEPROM, a checkout of
# raspberrypi/rpi-eeprom. LINETAP_EEPROM_OLDER=1: written even if a unit has a newer one.
lay_eeprom() {
  [ "${LINETAP_EEPROM:-}" ] || return 0
  "$PYTHON" image/eeprom.py "$LINETAP_EEPROM" "$ROOT" ${LINETAP_EEPROM_OLDER:+--older} >"$WORK/eeprom" ||
    fail "the boot loaders in LINETAP_EEPROM cannot be taken"
  while read -r line; do say "$line"; done <"$WORK/eeprom"
}

# Copies slot a's firmware, also under the usual names, for a boot loader that looks for these.
fill_firmware() {
  local from=${LINETAP_FIRMWARE:-$KIT/usr/lib/raspi-firmware} name
  while read -r name; do
    cp "$ROOT/usr/lib/linetap/firmware/$name" "$CARD/$name"
    cp "$ROOT/usr/lib/linetap/firmware/$name" "$CARD/${name%.*}a.${name##*.}"
  done <"$WORK/start"
  if [ -z "${LINETAP_FIRMWARE:-}" ]; then
    cp "$KIT/usr/share/doc/raspi-firmware/copyright" "$CARD/LICENCE.raspi-firmware"
  else
    cp "$from/LICENCE.broadcom" "$CARD/LICENCE.raspi-firmware" || fail "the licence of the firmware in $from is missing"
  fi
}

check_card() { boards card "$CARD" || fail "a board would not start from this card"; }
