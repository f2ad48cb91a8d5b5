# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Another kernel than the archive's: LINETAP_KERNEL names a folder with its packages for arm64. linux-headers-* and
# linux-kbuild-* are installed in the kit, all others in the root. Raspberry Pi's is linux-image-*-rpi-v8, for a Pi 4
# and a Pi 5.

# The destination of a package of the folder: root, kit, or none (a kernel's packages that no image needs).
place_of() {
  case $(basename "$1") in
    linux-headers-* | linux-kbuild-*) echo kit ;;
    linux-libc-dev* | linux-image-*-dbg_*) ;;
    *) echo root ;;
  esac
}

lay_kernel() {
  [ -n "${LINETAP_KERNEL:-}" ] || return 0
  local package pattern laid
  for package in "$LINETAP_KERNEL"/linux-*.deb; do
    [ -e "$package" ] || fail "$LINETAP_KERNEL: there is no package linux-*.deb"
    say "$(basename "$package")"
    case $(place_of "$package") in
      kit) unpack "$package" "$KIT" ;;
      root) unpack "$package" "$ROOT" ;; # packages.lock lists it (packagelock.py)
    esac
  done
  laid=("$ROOT"/usr/lib/modules/*)
  [ "${#laid[@]}" -eq 1 ] || fail "$LINETAP_KERNEL: there must be one kernel, and there are: ${laid[*]##*/}"
  for pattern in "${LEFT_OUT[@]}"; do
    # shellcheck disable=SC2086 # a pattern of names
    rm -rf --one-file-system "$ROOT"$pattern
  done
  # Debian's backport has its files beside the modules, Raspberry Pi's kernel in /boot.
  local image beside
  image=$ROOT/boot/vmlinuz-$(kernel) beside=$ROOT/usr/lib/modules/$(kernel)
  [ -e "$image" ] || [ ! -e "$beside/vmlinuz" ] || install -D -m 644 "$beside/vmlinuz" "$image"
  [ -e "$beside/config" ] || [ ! -e "$ROOT/boot/config-$(kernel)" ] || cp "$ROOT/boot/config-$(kernel)" "$beside/config"
  [ -e "$image" ] || fail "$LINETAP_KERNEL: there must be one kernel, with its modules and image"
}

# Leaves in the root the modules that a board needs (image/boards), the initramfs' and those of kept-modules.txt, each
# with its dependencies; no other. This reduces attack surface and update size.
keep_modules() {
  local modules module
  modules=$PWD/$ROOT/usr/lib/modules/$(kernel)
  say "modules"
  depmod -b "$PWD/$ROOT/usr" "$(kernel)"
  { of_kernel modules && wanted_modules && named_modules image/kept-modules.txt; } >"$WORK/named" ||
    fail "not every module of a board is known"
  while read -r module; do
    modprobe -d "$PWD/$ROOT" -S "$(kernel)" --show-depends "$module" || fail "the kernel has no module $module"
  done <"$WORK/named" >"$WORK/depends"
  # modprobe's path has /lib, a link.
  sed -n -E "s#^insmod .*/lib/modules/[^/]+/([^ ]+).*#$modules/\1#p" "$WORK/depends" | LC_ALL=C sort -u >"$WORK/kept"
  find "$modules/kernel" -name '*.ko*' | LC_ALL=C sort | LC_ALL=C comm -23 - "$WORK/kept" | xargs --no-run-if-empty rm
  find "$modules/kernel" -type d -empty -delete
  find "$modules" -name '*.ko.xz' -exec xz --decompress -T1 {} + # squashfs compresses them as well, and opens faster
  depmod -b "$PWD/$ROOT/usr" "$(kernel)"
  say "$(find "$modules" -name '*.ko' | wc -l) modules stay"
}

# The modules in a list of ours, without those that this kernel may lack and lacks.
named_modules() {
  local module kind
  sed -e 's/#.*//' -e '/^ *$/d' "$1" | while read -r module kind; do
    case $kind in
      '') echo "$module" ;;
      emulated | optional) if_there "$module" "$kind" ;;
      *) fail "$1: $module $kind: neither emulated nor optional" ;;
    esac
  done
}

# A module that a kernel, such as a vendor's, may lack.
if_there() {
  if modprobe -d "$PWD/$ROOT" -S "$(kernel)" --show-depends "$1" >/dev/null 2>&1; then
    echo "$1"
  elif [ "$2" = emulated ]; then
    say "no $1 in this kernel: no emulated machine but a Pi starts this image" >&2
  fi
}

# Unpacks into a root whose /lib is a link: an old package may still contain /lib.
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

# The trees in a kernel's package: Debian's backport, and all others.
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
