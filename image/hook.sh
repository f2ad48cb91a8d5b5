#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In every bundle, run by RAUC once a slot's root is written: the slot's folder on the boot partition. Kernel, initramfs and
# trees lie in the root itself; its hash is in the command line that the bundle brings. config.txt comes last: without it
# the slot is none.
set -eu
boot=${LINETAP_BOOT:-/boot/firmware}
here=$(dirname "$0")

fail() {
  echo "hook: $*" >&2
  exit 1
}

read_back() { { dd if="$1" bs=64k iflag=direct 2>/dev/null || cat "$1"; } | sha256sum; }

[ "${1:-}" = slot-post-install ] || fail "usage: hook.sh slot-post-install"
slot=${RAUC_SLOT_BOOTNAME:-}
case $slot in a | b) ;; *) fail "there is no slot '$slot'" ;; esac
[ ! -e "$boot/boot.img" ] || fail "this unit starts a signed boot.img, which no update replaces: a new card is needed"
[ ! -e "$boot/$slot/config.txt" ] || fail "slot $slot is in use: RAUC marks it bad before it writes"

root=$(mktemp -d)
trap 'umount -l "$root" 2>/dev/null || true; rmdir "$root"' EXIT
mount -t squashfs -o ro,nosuid,nodev,noexec "$RAUC_SLOT_DEVICE" "$root"
rm -rf "${boot:?}/$slot"
mkdir "$boot/$slot"
cp -r "$root/usr/lib/linetap/boot/." "$boot/$slot/"
[ -s "$boot/$slot/vmlinuz" ] || fail "there is no kernel in this root"
# A Pi 4's firmware files, as start4b.elf and fixup4b.dat: config.txt names them, tryboot.txt tries them with the slot, and
# those of the other slot are the way back. Read again from the card, past the cache, before anything names them.
for file in "$root"/usr/lib/linetap/firmware/*; do
  [ -e "$file" ] || continue # in a root of before
  name=$(basename "$file") into=$boot/$(basename "${file%.*}")$slot.${file##*.}
  cp "$file" "$boot/firmware.new"
  sync -f "$boot"
  [ "$(read_back "$boot/firmware.new")" = "$(sha256sum <"$file")" ] || fail "$name: the card has not kept it"
  mv "$boot/firmware.new" "$into"
done
printf '%s linetap.slot=%s\n' "$(cat "$here/cmdline.txt")" "$slot" >"$boot/$slot/cmdline.txt"
sync -f "$boot"
sed "s/@SLOT@/$slot/g" "$here/config.txt" >"$boot/$slot/config.new"
sync -f "$boot"
mv "$boot/$slot/config.new" "$boot/$slot/config.txt"
sync -f "$boot"
