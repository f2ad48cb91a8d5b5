#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Part of every bundle, run by RAUC: before any write it checks whether this unit can start the version; after the write
# of a slot's root it installs the boot files. Kernel, initramfs and trees are in the root itself, whose hash is in the
# bundle's command line. config.txt comes last: without it the slot is invalid.
#
# A unit with a signed card (docs/verified-boot.md) accepts only bundles with boot.part, the boot loader's data for a
# slot: boot.img, signed by the key whose public half is in the running root. Any other unit accepts only the others.
set -eu
boot=${LINETAP_BOOT:-/boot/firmware} proc=${LINETAP_PROC:-/proc} parts=${LINETAP_PARTS:-/dev/disk/by-partlabel}
key=${LINETAP_BOOT_PUBLIC:-/usr/lib/linetap/boot.pem} # in the running root, verified by dm-verity
here=$(dirname "$0")
# shellcheck source=image/root/usr/lib/linetap/bootfiles
. "$here/bootfiles"

fail() {
  echo "hook: $*" >&2
  exit "${refused:-1}"
}

# Reads from the card, bypassing the cache if possible.
read_back() { { dd if="$1" bs=64k iflag=direct 2>/dev/null || cat "$1"; } | sha256sum; }

signed_unit() { is_signed "$proc/cmdline"; }

# Runs before any write. RAUC shows the last line if a hook exits with 10.
check() {
  refused=10
  [ ! -e "$boot/boot.img" ] || fail "this unit's signed card is of an earlier layout, which no update replaces: a new card is needed"
  if signed_unit; then
    [ -s "$here/boot.part" ] || fail "this unit starts a signed boot.img, and the update brings none"
    is_signed_boot || fail "boot.img is not signed by this unit's key: it would not start"
  else
    [ ! -e "$here/boot.part" ] || fail "this update is for units with a signed boot.img, and this is none"
  fi
}

# Checks boot.img within boot.part, at the place in boot.place (first sector, sectors): by hash and signature, as the
# boot loader does (rpi-eeprom-digest -v).
is_signed_boot() {
  [ -s "$key" ] && [ -s "$here/boot.place" ] && [ -s "$here/boot.sig" ] && read -r at sectors <"$here/boot.place" || return 1
  case $at$sectors in '' | *[!0-9]*) return 1 ;; esac
  sum=$(boot_img "$at" "$sectors" | sha256sum | cut -d' ' -f1)
  [ "$(sed -n 1p "$here/boot.sig")" = "$sum" ] || return 1
  sig=$(mktemp)
  # shellcheck disable=SC2059 # its bytes are escapes of the format, which the shell's own printf does not know
  /usr/bin/printf "$(sed -n 's/^rsa2048: \([0-9a-f]\{512\}\)$/\1/p' "$here/boot.sig" | sed 's/../\\x&/g')" >"$sig"
  boot_img "$at" "$sectors" | openssl dgst -sha256 -verify "$key" -signature "$sig" >/dev/null 2>&1 && status=0 || status=1
  rm -f "$sig"
  return "$status"
}

boot_img() { dd if="$here/boot.part" bs=512 skip="$1" count="$2" 2>/dev/null; }

# Writes the boot files for a boot loader without verified boot: the slot's folder, and a Pi 4's firmware.
lay_folder() {
  root=$(mktemp -d)
  trap 'umount -l "$root" 2>/dev/null || true; rmdir "$root"' EXIT
  mount -t squashfs -o ro,nosuid,nodev,noexec "$RAUC_SLOT_DEVICE" "$root"
  cp -r "$root/usr/lib/linetap/boot/." "$boot/$slot/"
  [ -s "$boot/$slot/vmlinuz" ] || fail "there is no kernel in this root"
  # As start4b.elf and fixup4b.dat: config.txt names them, tryboot.txt tries them with the slot, and those of the other
  # slot are the way back. They are read back from the card, bypassing the cache, before any file names them.
  for file in "$root"/usr/lib/linetap/firmware/*; do
    [ -e "$file" ] || continue # missing in an older root
    name=$(basename "$file") into=$boot/$(basename "${file%.*}")$slot.${file##*.}
    cp "$file" "$boot/firmware.new"
    flush "$boot"
    [ "$(read_back "$boot/firmware.new")" = "$(sha256sum <"$file")" ] || fail "$name: the card has not kept it"
    mv "$boot/firmware.new" "$into"
  done
  printf '%s linetap.slot=%s\n' "$(cat "$here/cmdline.txt")" "$slot" >"$boot/$slot/cmdline.txt"
}

# Writes the boot loader's data of a signed slot, and its checksum.
lay_partition() {
  into=$parts/linetap-boot-$slot
  # shellcheck source=image/root/usr/lib/linetap/autoboot
  . "$here/autoboot"
  cp "$here/cmdline.txt" "$boot/$slot/cmdline.txt"
  printf '%s %s\n' "$(stat -c %s "$here/boot.part")" "$(sha256sum <"$here/boot.part" | cut -d' ' -f1)" >"$boot/$slot/boot.sum"
  bootpart_write "$here/boot.part" "$into" "$boot/$slot/boot.sum" || fail "$into: the card has not kept boot.img"
}

install() {
  slot=${RAUC_SLOT_BOOTNAME:-}
  case $slot in a | b) ;; *) fail "there is no slot '$slot'" ;; esac
  [ ! -e "$boot/$slot/config.txt" ] || fail "slot $slot is in use: RAUC marks it bad before it writes"
  check # RAUC has already asked for the check, unless it was told not to
  refused=1
  rm -rf "${boot:?}/$slot"
  mkdir "$boot/$slot"
  if signed_unit; then lay_partition; else lay_folder; fi
  flush "$boot"
  sed "s/@SLOT@/$slot/g" "$here/config.txt" >"$boot/$slot/config.new"
  flush "$boot"
  mv "$boot/$slot/config.new" "$boot/$slot/config.txt"
  flush "$boot"
}

case ${1:-} in
  install-check) check ;;
  slot-post-install) install ;;
  *) fail "usage: hook.sh install-check | slot-post-install" ;;
esac
