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

# Removes the modules listed in left-out-modules.txt from the root; exceptions are set aside meanwhile.
leave_out_modules() {
  local modules aside=$WORK/kept-modules folder found
  modules=$ROOT/usr/lib/modules/$(kernel)/kernel
  rm -rf "$aside" && mkdir "$aside"
  while read -r folder; do
    [ -e "$modules/$folder" ] || continue
    mkdir -p "$aside/$(dirname "$folder")"
    mv "$modules/$folder" "$aside/$folder"
  done < <(sed -n 's/^+ //p' image/left-out-modules.txt)
  while read -r folder; do
    for found in "$modules"/$folder; do # a pattern of names
      rm -rf --one-file-system "$found"
    done
  done < <(sed -n 's/^- //p' image/left-out-modules.txt)
  cp -a "$aside/." "$modules/"
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
