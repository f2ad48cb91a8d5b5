# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The card itself: five partitions, seven on a signed one, assembled without a mount; the list of its contents, and
# compression.

write_card() {
  local image=$OUT/linetap.img at=1 boot first=$CARD starts=0 # MiB of each partition of a boot.img
  boot=$(realpath -m "$WORK/boot.vfat")
  say "card"
  # shellcheck disable=SC2153 # of signed.sh
  if [ -d "$FIRST" ]; then first=$FIRST starts=$BOOTPART_MIB; fi
  find "$first" -exec touch --date="@$SOURCE_DATE_EPOCH" {} +
  truncate -s "${BOOT_MIB}M" "$boot"
  mkfs.vfat --invariant -F 32 -n LINETAP -i "$BOOT_SERIAL" "$boot" >/dev/null
  (cd "$first" && find . -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs -I{} mcopy -spm -i "$boot" {} ::)
  extended "$WORK/state.img" "$STATE_MIB" linetap-state "$STATE_ID"
  extended "$WORK/data.img" "$DATA_MIB" linetap-data "$DATA_ID"
  rm -f "$image"
  truncate -s "$((1 + BOOT_MIB + 2 * starts + 2 * SLOT_MIB + STATE_MIB + DATA_MIB + 1))M" "$image"
  sfdisk --quiet "$image" <<END
label: gpt
label-id: $DISK_ID
first-lba: 2048
start=1MiB, size=${BOOT_MIB}MiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, uuid=$BOOT_ID, name=linetap-boot
$(start_partitions "$starts")
size=${SLOT_MIB}MiB, type=linux, uuid=$A_ID, name=linetap-a
size=${SLOT_MIB}MiB, type=linux, uuid=$B_ID, name=linetap-b
size=${STATE_MIB}MiB, type=linux, uuid=$STATE_ID, name=linetap-state
size=${DATA_MIB}MiB, type=linux, uuid=$DATA_ID, name=linetap-data
END
  lay "$boot" "$image" $at "$(vfat_bytes "$boot")"
  at=$((at + BOOT_MIB))
  if [ "$starts" -gt 0 ]; then
    lay "$SIGNED/boot.part" "$image" $at
    blank "$image" $((at + starts)) # no boot.img of an earlier life: newer boot loaders search all partitions
  fi
  lay "$WORK/slot.img" "$image" $((at += 2 * starts))
  blank "$image" $((at + SLOT_MIB - 1)) # nor marks (root/usr/lib/linetap/marks)
  blank "$image" $((at + 2 * SLOT_MIB - 1))
  lay "$WORK/state.img" "$image" $((at += 2 * SLOT_MIB)) "$(ext4_bytes "$WORK/state.img")"
  lay "$WORK/data.img" "$image" $((at += STATE_MIB)) "$(ext4_bytes "$WORK/data.img")"
  cp --sparse=always "$WORK/slot.img" "$OUT/slot.img"
  cp "$WORK/cmdline.txt" "$OUT/slot.cmdline"
}

# Of a signed card; b is empty at first. Read-only (60) and without a letter (63) for Windows, which would write a
# folder into one, changing its checksum, and offer to format the other.
start_partitions() {
  [ "$1" -gt 0 ] || return 0
  printf 'size=%sMiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, uuid=%s, name=linetap-boot-%s, attrs="GUID:60,63"\n' \
    "$1" "$BOOT_A_ID" a "$1" "$BOOT_B_ID" b
}

# lay FROM IMAGE MIB [BYTES]: all of FROM, or its first BYTES, zeros too: the map that bmaptool follows leaves out the
# image's holes, and a card that was used before keeps its own content there. A new journal with transactions of an
# earlier one behind its end replays them after a power cut.
lay() { dd if="$1" of="$2" bs=1M seek="$3" ${4:+count="$4" iflag=count_bytes} conv=notrunc status=none; }

# One MiB of zeros, which are written too.
blank() { dd if=/dev/zero of="$1" bs=1M seek="$2" count=1 conv=notrunc status=none; }

# The bytes of a new file system from its beginning to its last block in use.
ext4_bytes() {
  local block
  block=$(dumpe2fs "$1" 2>/dev/null | awk '/^ *Free blocks: / { last = $NF } END { split(last, range, "-"); print range[1] }')
  [[ $block =~ ^[0-9]+$ ]] || fail "$1: no free blocks at its end"
  echo $((block * 4096))
}

# The same of a FAT32: the reserved sectors, the tables, the clusters from number 2 on.
vfat_bytes() {
  local sector first table last
  sector=$(field "$1" 11 2)
  first=$(($(field "$1" 14 2) * sector)) table=$(($(field "$1" 36 4) * sector))
  last=$(od -An -v -t u4 -w4 -j "$first" -N "$table" "$1" | awk '$1 { last = NR } END { print last - 1 }')
  echo $((first + $(field "$1" 16 1) * table + (last - 1) * $(field "$1" 13 1) * sector))
}

# An ext4 that can grow to a terabyte, and stops writing when it detects damage.
extended() {
  mke2fs -q -b 4096 -t ext4 -L "$3" -U "$4" -e remount-ro -m 0 -O metadata_csum,64bit -J size=8 \
    -E "hash_seed=$4,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,resize=268435456" "$1" "${2}M"
}

list_contents() {
  cp "$WORK/packages.lock" "$OUT/packages.lock"
  "$PYTHON" image/contents.py --status "$WORK/packages/status" --kit "$WORK/archive/kit/dists/trixie/main/binary-arm64/Packages" \
    --lock "$WORK/packages.lock" --keep "$POOL" --files "$WORK/files" --documents "$ROOT/usr/share/doc" --modules "$MODULES" \
    --drivers "$ROOT/usr/lib/modules/$(kernel)/updates" \
    --tree initramfs "$WORK/initramfs" --tree "boot partition" "$CARD" --untouched "$UNTOUCHED" ${LINETAP_FIRMWARE:+--firmware "$LINETAP_FIRMWARE"} ${LINETAP_EEPROM:+--eeprom "$LINETAP_EEPROM"} \
    --version "$VERSION" --commit "$COMMIT" --payload "$("$PYTHON" image/payload.py hash "$OUT/linetap-$VERSION.raucb")" \
    --epoch "$SOURCE_DATE_EPOCH" --manifest "$OUT/manifest.txt" --sbom "$OUT/sbom.spdx.json" || exit 1
}

# As of today, and therefore excluded from the comparison of two builds.
list_holes() {
  "$PYTHON" image/holes.py "$OUT/sbom.spdx.json" >"$OUT/holes.txt" 2>&1 || true # the file states an error
  say "$(head -n 1 "$OUT/holes.txt")"
}

compress() {
  say "compressing"
  bmaptool --quiet create --output "$OUT/linetap.img.bmap" "$OUT/linetap.img"
  xz -T0 -2 --keep --force "$OUT/linetap.img"
  (cd "$OUT" && sha256sum linetap.img.xz linetap.img linetap.img.bmap slot.img slot.cmdline manifest.txt \
    sbom.spdx.json packages.lock certificate.pem >SHA256SUMS)
}
