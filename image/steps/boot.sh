# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The boot files of a slot: initramfs, kernel and device trees, which are in its root so that an update includes them;
# then the root itself with its hash tree, and its folder on the boot partition.

readonly LIBRARIES=usr/lib/aarch64-linux-gnu

pack_initramfs() {
  local tree=$WORK/initramfs module file
  say "initramfs"
  mkdir -p "$tree/bin" "$tree/lib" "$tree/modules" "$tree/late"
  cp "$KIT/usr/bin/busybox" "$tree/bin/"
  cp "$ROOT/usr/sbin/dmsetup" "$tree/bin/dmsetup"
  copy_libraries "$tree" "$tree/bin/dmsetup"
  install -m 755 image/initramfs/init "$tree/init"
  install -D -m 644 -t "$tree/lib/linetap" image/initramfs/*.sh image/root/usr/lib/linetap/{marks,blocks,autoboot,bootfiles}
  wanted_modules | while read -r module; do
    modprobe -d "$PWD/$ROOT" -S "$(kernel)" --show-depends "$module" || fail "the kernel has no module $module"
  done | sed -n 's/^insmod //p' | awk '!seen[$1]++ {print $1}' >"$WORK/modules"
  [ -s "$WORK/modules" ] || fail "no modules for the initramfs"
  while read -r file; do
    cp "$file" "$tree/modules/"
    printf '/modules/%s\n' "$(basename "$file")"
  done <"$WORK/modules" >"$tree/modules/order"
  cp "$WORK/linetap_otp.ko" "$tree/modules/" # not in the list: loaded only while the card is opened (keep.sh)
  check_packed "$tree/modules/order"
  pack_cpio "$tree" "$WORK/initramfs.img"
}

# Packs reproducibly: the same bytes at any time and for any owner of the files.
pack_cpio() {
  find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
  (cd "$1" && find . -print0 | LC_ALL=C sort -z | cpio --quiet --null --create --format=newc --owner=0:0 --reproducible) |
    zstd --quiet -15 -T0 >"$2"
}

# Copies a program's libraries from the root, and their own dependencies.
copy_libraries() {
  local tree=$1 name
  readelf -d "$2" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r name; do
    [ ! -e "$tree/lib/$name" ] || continue
    cp --dereference "$ROOT/$LIBRARIES/$name" "$tree/lib/$name"
    copy_libraries "$tree" "$tree/lib/$name"
  done
}

# A slot is the squashfs, one block unused by dm-verity, and its hash tree.
pack_slot() {
  local kernel
  kernel=$(kernel)
  mv "$ROOT/boot/vmlinuz-$kernel" "$BEGIN/vmlinuz"
  cp "$WORK/initramfs.img" "$BEGIN/initramfs"
  rm -rf "$ROOT/usr/lib/modules/$kernel/dtb" "$ROOT/usr/lib/linux-image-$kernel"
  chmod -R u=rwX,go=rX "$BEGIN"
  lay_firmware
  lay_eeprom
  seal_slot 12
}

# Makes slot.img and cmdline.txt in $WORK from $ROOT. Tests, to save time, use another level of Zstandard.
seal_slot() {
  local size blocks salt hash
  say "slot: squashfs and hashes"
  # SOURCE_DATE_EPOCH alone changes only newer times: files made by a clock behind the commit's would keep theirs.
  env --unset=SOURCE_DATE_EPOCH mksquashfs "$ROOT" "$WORK/slot.img" -quiet -no-progress -noappend -comp zstd \
    -Xcompression-level "$1" -b 64K -no-exports -mkfs-time "$SOURCE_DATE_EPOCH" -all-time "$SOURCE_DATE_EPOCH" \
    >"$WORK/squashfs.log"
  size=$(stat -c %s "$WORK/slot.img")
  blocks=$(((size + 4095) / 4096))
  truncate -s $((blocks * 4096)) "$WORK/slot.img"
  salt=$(sha256sum "$WORK/slot.img" | cut -d' ' -f1)
  hash=$(veritysetup format "$WORK/slot.img" "$WORK/slot.img" --hash-offset=$((blocks * 4096)) --data-blocks="$blocks" \
    --salt="$salt" --uuid="$VERITY_ID" | sed -n 's/^Root hash:[[:space:]]*//p')
  [ "$hash" ] || fail "veritysetup gave no root hash"
  [ "$(stat -c %s "$WORK/slot.img")" -le $(((SLOT_MIB - 1) * 1024 * 1024)) ] || fail "the root does not fit into a slot"
  cmdline "$blocks" "$hash" "$salt" >"$WORK/cmdline.txt"
}

# One line, without the slot: the place where it is written implies it.
cmdline() {
  printf '%s linetap.verity=%s:%s:%s%s\n' "$(sed -e 's/#.*//' image/boot/cmdline.txt | paste -sd' ' | sed -e 's/  */ /g' -e 's/^ //')" "$@" "$(permit "$2")"
}

# Permits a key in a TPM to sign, and to open the card, in boots of this root: signed by the key for updates, if a TPM
# can verify it. Without that key its owner's published words are taken.
permit() {
  local words from=(--key "$UPDATE_KEY")
  [ "$UPDATE_KEY" ] || from=(--published "${LINETAP_PUBLISHED_CMDLINE:-slot.cmdline}" --release "$ROOT/usr/lib/linetap/release.pem")
  if words=$("$BIN/python" -m linetap tpm boot "$1" "${from[@]}" 2>"$WORK/permit.log"); then
    printf ' %s' "$words"
  else
    say "no key in a TPM signs in its boots: $(tail -n 1 "$WORK/permit.log")" >&2
  fi
}

fill_boot() {
  fill_firmware
  mkdir -p "$CARD/a" "$CARD/b"
  cp -r "$ROOT"/usr/lib/linetap/boot/. "$CARD/a/"
  printf '%s linetap.slot=a\n' "$(cat "$WORK/cmdline.txt")" >"$CARD/a/cmdline.txt"
  # Two copies: the firmware's, and the one that makes the folder a slot (usr/lib/linetap/slots).
  image/config.sh image/boot/config.txt >"$WORK/config.txt" || fail "config.txt has to be one sector"
  sed "s/@SLOT@/a/" "$WORK/config.txt" >"$CARD/a/config.txt"
  cp "$CARD/a/config.txt" "$CARD/config.txt"
  check_card
}
