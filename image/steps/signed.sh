# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# `./build.sh image --signed`: the files for a Pi's own verified boot, in build/image/signed. Formats and names are
# Raspberry Pi's (usbboot's secure-boot.md; rpi-eeprom-digest). This script never writes to a Pi: docs/verified-boot.md.
#   LINETAP_BOOT_KEY      a private key, RSA of 2048 bits, in PEM
#   LINETAP_BOOT_SIGNER   or a signing program, for a key in a token: PROGRAM -a rsa2048-sha256 FILE prints the
#                         signature in hexadecimal (the "HSM wrapper" of rpi-eeprom-digest); the key is never read here
#   LINETAP_BOOT_PUBLIC   then the public key, in PEM

readonly BOOT_KEY=${LINETAP_BOOT_KEY:-} BOOT_SIGNER=${LINETAP_BOOT_SIGNER:-} SIGNED=$OUT/signed
readonly FIRST=$WORK/first # content of the first partition of a signed card; missing otherwise
readonly BOOT_IMG_MAX_MIB=96 # Raspberry Pi's documentation, boot_ramdisk
readonly BOOTPART_MIN_MIB=40 # FAT32 needs at least 65525 clusters, and these have one sector

# Runs before the build, so that a wrong key does not cost a quarter of an hour.
require_boot_key() {
  local public=$WORK/boot-public.pem
  if [ "$BOOT_SIGNER" ]; then
    command -v "$BOOT_SIGNER" >/dev/null || fail "LINETAP_BOOT_SIGNER: $BOOT_SIGNER cannot be run"
    [ -s "${LINETAP_BOOT_PUBLIC:-}" ] || fail "LINETAP_BOOT_PUBLIC: the public key of LINETAP_BOOT_SIGNER expected, in PEM"
    openssl pkey -pubin -in "$LINETAP_BOOT_PUBLIC" -out "$public" 2>/dev/null || fail "$LINETAP_BOOT_PUBLIC: no public key in PEM"
  else
    [ -s "$BOOT_KEY" ] || fail "LINETAP_BOOT_KEY or LINETAP_BOOT_SIGNER: the key of verified boot expected"
    openssl pkey -in "$BOOT_KEY" -pubout -out "$public" 2>/dev/null || fail "$BOOT_KEY: no private key in PEM"
  fi
  openssl rsa -pubin -in "$public" -noout -text 2>/dev/null | grep -q '^Public-Key: (2048 bit)$' ||
    fail "the key of verified boot is not RSA of 2048 bits: the Pi takes no other"
}

# FILE -> FILE's name with .sig: hash, time, signature. Verified with openssl before use.
sign_boot_file() {
  local file=$1 sig=${1%.*}.sig hex
  if [ "$BOOT_SIGNER" ]; then
    hex=$("$BOOT_SIGNER" -a rsa2048-sha256 "$file") || fail "$BOOT_SIGNER: did not sign $file"
  else
    hex=$(openssl dgst -sha256 -sign "$BOOT_KEY" "$file" | xxd -p -c 4096) || fail "$BOOT_KEY: did not sign $file"
  fi
  [[ $hex =~ ^[0-9a-f]{512}$ ]] || fail "$file: its signature is not 512 hexadecimal digits"
  printf '%s\nts: %s\nrsa2048: %s\n' "$(sha256sum "$file" | cut -d' ' -f1)" "$SOURCE_DATE_EPOCH" "$hex" >"$sig"
  xxd -r -p <<<"$hex" >"$WORK/boot.signature"
  openssl dgst -sha256 -verify "$WORK/boot-public.pem" -signature "$WORK/boot.signature" "$file" >/dev/null 2>&1 ||
    fail "$file: the signature is not by LINETAP_BOOT_PUBLIC"
}

# The unit verifies an update's boot.img with it before any file names it: it is in the root, so the root's hash covers
# it.
lay_boot_key() {
  install -D -m 644 "$WORK/boot-public.pem" "$ROOT/usr/lib/linetap/boot.pem"
}

# Everything between the EEPROM and the root: the firmware, kernel, initramfs, trees, and the command line with the
# root's hash. The same for both slots: no name in it has a slot's letter, and the initramfs finds out the started
# partition.
pack_boot_img() {
  local tree=$WORK/boot.tree img=$SIGNED/boot.img name
  mkdir -p "$tree" "$SIGNED"
  find "$CARD" -mindepth 1 -maxdepth 1 -type f ! -name config.txt ! -name 'start*[ab].elf' ! -name 'fixup*[ab].dat' \
    -exec cp -t "$tree" {} +
  cp -r "$CARD/a/." "$tree/"
  cp "$WORK/cmdline.txt" "$tree/cmdline.txt"
  grep -vE '^(os_prefix|start_file|fixup_file)=' "$CARD/a/config.txt" >"$tree/config.txt"
  gzip -9n <"$CARD/a/vmlinuz" >"$tree/vmlinuz" # the firmware unpacks it: boot.img is read from the card as a whole
  find "$tree" -exec touch --date="@$SOURCE_DATE_EPOCH" {} +
  rm -f "$img"
  truncate -s "$(($(du -sm --apparent-size "$tree" | cut -f1) + 4))M" "$img"
  [ "$(stat -c %s "$img")" -le $((BOOT_IMG_MAX_MIB << 20)) ] || fail "boot.img is larger than $BOOT_IMG_MAX_MIB MiB"
  mkfs.vfat --invariant -n BOOT -i "$BOOT_SERIAL" "$img" >/dev/null
  find "$tree" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | while read -r name; do mcopy -spm -i "$img" "$tree/$name" ::; done
  sign_boot_file "$img"
}

# The boot loader's data for a slot, as written to the slot's partition, with boot.img in one piece at its end, at the
# place named in boot.place. config.txt is for an EEPROM that is not locked yet: boot_ramdisk=1 makes it start boot.img
# like a locked one, but unverified (usbboot, secure-boot-recovery5/README.md).
pack_boot_part() {
  local img=$SIGNED/boot.img part=$SIGNED/boot.part mib at sectors
  mib=$(($(stat -c %s "$img") / 1048576 + 4))
  [ $mib -ge $BOOTPART_MIN_MIB ] || mib=$BOOTPART_MIN_MIB
  [ $mib -le "$BOOTPART_MIB" ] || fail "boot.img does not fit into a partition of $BOOTPART_MIB MiB"
  rm -f "$part"
  truncate -s "${mib}M" "$part"
  mkfs.vfat --invariant -F 32 -s 1 -n BOOT -i "$BOOT_SERIAL" "$part" >/dev/null
  printf '# Until the EEPROM asks for a signed boot.img (docs/verified-boot.md)\nboot_ramdisk=1\n' >"$WORK/ramdisk.txt"
  touch --date="@$SOURCE_DATE_EPOCH" "$WORK/ramdisk.txt" "$img" "$SIGNED/boot.sig"
  mcopy -pm -i "$part" "$WORK/ramdisk.txt" ::config.txt
  mcopy -pm -i "$part" "$SIGNED/boot.sig" ::boot.sig
  mcopy -pm -i "$part" "$img" ::boot.img
  at=$(first_sector "$part") sectors=$(($(stat -c %s "$img") / 512))
  dd if="$part" bs=512 skip="$at" count=$sectors status=none | cmp -s - "$img" || fail "boot.part: boot.img is not in one piece"
  printf '%s %s\n' "$at" $sectors >"$SIGNED/boot.place"
}

# The first sector of boot.img in a FAT32 with one-sector clusters: behind the reserved sectors and the tables; the
# first cluster has number two.
first_sector() {
  local cluster
  cluster=$(mshowfat -i "$1" ::boot.img | sed -n 's/.*<\([0-9]*\)-[0-9]*>$/\1/p')
  [ "$cluster" ] || fail "boot.part: boot.img is not in one piece"
  echo $(($(field "$1" 14 2) + $(field "$1" 16 1) * $(field "$1" 36 4) + cluster - 2))
}

field() { od -An -v -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '; }

# The first partition: the default slot, and the checksum of slot a (root/usr/lib/linetap/slots). People exchange files
# with the unit here, as on any card.
lay_first() {
  local part=$SIGNED/boot.part
  mkdir -p "$FIRST/a" "$FIRST/b"
  # shellcheck source=image/root/usr/lib/linetap/autoboot
  (. image/root/usr/lib/linetap/autoboot && autoboot_text a) >"$FIRST/autoboot.txt"
  cp "$WORK/cmdline.txt" "$FIRST/a/cmdline.txt"
  cp "$CARD/a/config.txt" "$FIRST/a/config.txt"
  printf '%s %s\n' "$(stat -c %s "$part")" "$(sha256sum <"$part" | cut -d' ' -f1)" >"$FIRST/a/boot.sum"
  cp "$CARD/LICENCE.raspi-firmware" "$FIRST/"
}

# The EEPROM's configuration, signed by the same key, and that key in the EEPROM's form: modulus and exponent,
# little-endian. Raspberry Pi's own tools insert them into its EEPROM image, which we may not distribute.
pack_eeprom_config() {
  local modulus
  install -m 644 image/boot/eeprom-signed.txt "$SIGNED/bootconf.txt"
  sign_boot_file "$SIGNED/bootconf.txt"
  install -m 644 "$WORK/boot-public.pem" "$SIGNED/public.pem"
  modulus=$(openssl rsa -pubin -in "$SIGNED/public.pem" -noout -modulus | cut -d= -f2)
  {
    fold -w2 <<<"$modulus" | tac | tr -d '\n' | xxd -r -p
    openssl rsa -pubin -in "$SIGNED/public.pem" -noout -text |
      sed -n 's/^Exponent: \([0-9]*\) .*/\1/p' | xargs printf '%016x' | fold -w2 | tac | tr -d '\n' | xxd -r -p
  } >"$SIGNED/pubkey.bin"
}

pack_signed() {
  say "boot.img, and its signature"
  rm -rf "$SIGNED"
  pack_boot_img
  pack_boot_part
  lay_first
  pack_eeprom_config
}
