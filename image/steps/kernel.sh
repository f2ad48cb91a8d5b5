# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Another kernel than the archive's: LINETAP_KERNEL names a folder with its packages for arm64. linux-headers-* and
# linux-kbuild-* go into the kit, all others into the root. Raspberry Pi's is linux-image-*-rpi-v8, for a Pi 4 and a Pi 5.

lay_kernel() {
  [ -n "${LINETAP_KERNEL:-}" ] || return 0
  local package pattern
  for package in "$LINETAP_KERNEL"/linux-*.deb; do
    [ -e "$package" ] || fail "$LINETAP_KERNEL: there is no package linux-*.deb"
    say "$(basename "$package")"
    case $(basename "$package") in
      linux-headers-* | linux-kbuild-*) unpack "$package" "$KIT" ;;
      *) unpack "$package" "$ROOT" ;; # packages.lock lists it (packagelock.py)
    esac
  done
  for pattern in "${LEFT_OUT[@]}"; do
    # shellcheck disable=SC2086 # a pattern of names
    rm -rf --one-file-system "$ROOT"$pattern
  done
  # Debian's backport has all beside its modules, and Raspberry Pi's in /boot.
  local image beside
  image=$ROOT/boot/vmlinuz-$(kernel) beside=$ROOT/usr/lib/modules/$(kernel)
  [ -e "$image" ] || [ ! -e "$beside/vmlinuz" ] || install -D -m 644 "$beside/vmlinuz" "$image"
  [ -e "$beside/config" ] || [ ! -e "$ROOT/boot/config-$(kernel)" ] || cp "$ROOT/boot/config-$(kernel)" "$beside/config"
  [ -e "$image" ] || fail "$LINETAP_KERNEL: there must be one kernel, with its modules and image"
}

# Into a root whose /lib is a link: a package that does not know may still say /lib.
unpack() {
  local into=$WORK/unpacked
  rm -rf "$into"
  dpkg-deb -x "$1" "$into"
  if [ -d "$into/lib" ]; then
    mkdir -p "$into/usr/lib"
    cp -a "$into/lib/." "$into/usr/lib/"
    rm -rf "${into:?}/lib"
  fi
  cp -a "$into/." "$2/"
  rm -rf "$into"
}

# Where a kernel's package has its trees: Debian's backport, and all others.
trees_of_kernel() {
  local folder
  for folder in "$ROOT/usr/lib/modules/$(kernel)/dtb" "$ROOT/usr/lib/linux-image-$(kernel)"; do
    if [ -d "$folder/broadcom" ]; then
      echo "$folder"
      return
    fi
  done
  fail "kernel $(kernel) has no device trees"
}
