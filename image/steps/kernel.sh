# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Another kernel than Debian's: LINETAP_KERNEL names a folder with its packages for arm64, one linux-image-* and the
# linux-headers-* and linux-kbuild-* that belong to it. Raspberry Pi's: linux-image-*-rpi-v8, which runs on a Pi 4 and 5.

lay_kernel() {
  [ -n "${LINETAP_KERNEL:-}" ] || return 0
  local package pattern images=("$LINETAP_KERNEL"/linux-image-*.deb)
  if [ ! -e "${images[0]}" ] || [ ${#images[@]} -ne 1 ]; then
    fail "$LINETAP_KERNEL: there must be one package linux-image-*.deb"
  fi
  say "kernel: $(basename "${images[0]}")"
  unpack "${images[0]}" "$ROOT"
  for pattern in "${LEFT_OUT[@]}"; do
    # shellcheck disable=SC2086 # a pattern of names
    rm -rf --one-file-system "$ROOT"$pattern
  done
  # What is in the image is what dpkg says: the list of packages, the SBOM, the known holes.
  { echo && dpkg-deb -f "${images[0]}" && printf 'Status: install ok installed\n'; } >>"$ROOT/var/lib/dpkg/status"
  for package in "$LINETAP_KERNEL"/linux-headers-*.deb "$LINETAP_KERNEL"/linux-kbuild-*.deb; do
    [ ! -e "$package" ] || unpack "$package" "$KIT"
  done
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
