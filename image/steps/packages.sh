# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian's packages for arm64: in the image's root, and in a second folder (the kit) for builds and single files.

readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.pgp

# Runs programs of the image on this machine in qemu's user emulation, which a fresh machine has not registered.
run_foreign() {
  local handlers=/proc/sys/fs/binfmt_misc
  [ -e $handlers/register ] || mount -t binfmt_misc binfmt_misc $handlers
  [ -e $handlers/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >$handlers/register
}

# Unpacked, never configured: a compiler for the one wheel and the modules, the Pi's boot firmware, a static shell.
readonly KIT_WANTED=base-files,gcc,libc6-dev,python3-dev,python3-setuptools,python3-wheel,libasound2-dev,raspi-firmware/forky,busybox-static,make,linux-headers-arm64/trixie-backports
readonly POOL=build/packages # shared by all builds, each under its hash
readonly MAKERS=(
  mmdebstrap squashfs-tools cryptsetup-bin dosfstools mtools e2fsprogs fdisk cpio zstd xz-utils bmap-tools kmod
  device-tree-compiler python3.13
)

# This machine's tools that affect the bytes of an image.
made_by() { dpkg-query --show --showformat '# made by ${Package} ${Version}\n' "${MAKERS[@]}"; }

wanted() {
  sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' ${LINETAP_KERNEL:+-e /^linux-image-/d} image/packages.txt | paste -sd,
}

# Selects the packages, with their hashes: by LINETAP_LOCK, an earlier build's packages.lock, or as the archive has them
# today. Either way the list determines the downloads, and nothing else can be installed.
choose_packages() {
  local at
  at=$(tools/mirror.sh)
  if [ "${LINETAP_LOCK:-}" ]; then
    say "packages of $LINETAP_LOCK"
    cp "$LINETAP_LOCK" "$WORK/packages.lock" || exit 1
    [ -n "${LINETAP_KERNEL:-}" ] || ! grep -q ' folder pool/' "$WORK/packages.lock" ||
      fail "$LINETAP_LOCK has a kernel of a folder: LINETAP_KERNEL must name one with the same"
    diff <(grep '^# made by' "$WORK/packages.lock") <(made_by) >"$WORK/makers.diff" ||
      say "other tools than that list's, so the image may differ: $(grep '^>' "$WORK/makers.diff" | cut -c13- | paste -sd,)" >&2
  else
    say "which packages Debian has today"
    "$PYTHON" image/packagelock.py choose --lock "$WORK/packages.lock" --mirror "$at" --work "$WORK/apt" \
      --keyring "$KEYRING" --root "$(wanted)" --kit "$KIT_WANTED" || exit 1
    made_by >>"$WORK/packages.lock"
  fi
  "$PYTHON" image/packagelock.py fetch --lock "$WORK/packages.lock" --mirror "$at" --keep "$POOL" --into "$WORK/archive" || exit 1
  [ -z "${LINETAP_KERNEL:-}" ] || list_kernel
}

# Lists those of a folder's packages that belong in the root with the others.
list_kernel() {
  local package own=()
  for package in "$LINETAP_KERNEL"/linux-*.deb; do
    [ "$(place_of "$package")" != root ] || own+=("$package")
  done
  "$PYTHON" image/packagelock.py add --lock "$WORK/packages.lock" --keep "$POOL" --part root "${own[@]}" || exit 1
}

# Arguments: root or kit, the packages, the mode.
debootstrap() {
  local part=$1 wanted=$2
  shift 2
  printf 'deb [trusted=yes] copy:%s trixie main\n' "$PWD/$WORK/archive/$part" >"$WORK/$part.list"
  mmdebstrap --quiet --mode=root --architectures=arm64 --aptopt='APT::Install-Recommends "false"' \
    --include="$(sed 's,/[^,]*,,g' <<<"$wanted")" "$@" trixie "$WORK/$part" "$WORK/$part.list" 2>"$WORK/mmdebstrap.log" ||
    { tail -n 15 "$WORK/mmdebstrap.log" >&2; fail "mmdebstrap failed"; }
}

unpack_kit() {
  say "the kit: compiler, boot firmware, busybox"
  debootstrap kit "$KIT_WANTED" --variant=extract
}

# Files that are in no unit: documents and other languages.
readonly LEFT_OUT=(
  '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/lintian/*'
  '/usr/share/bash-completion/*' '/usr/share/zsh/*'
)
readonly SLOW=(/usr/bin/py3compile /usr/sbin/depmod /usr/sbin/update-initramfs /usr/sbin/mkinitramfs)

# Hooks of packages run dozens of times, and under emulation take twice as long as all the rest; their results are made
# once, by this machine, or not needed.
install_packages() {
  local left=() pattern program set_aside="" put_back=""
  for pattern in "${LEFT_OUT[@]}"; do left+=("--dpkgopt=path-exclude=$pattern"); done
  for program in "${SLOW[@]}"; do
    set_aside+="chroot \"\$1\" dpkg-divert --quiet --local --no-rename --divert $program.real --add $program; "
    set_aside+="ln -sf /bin/true \"\$1$program\"; "
    put_back+="rm -f \"\$1$program\"; if [ -e \"\$1$program.real\" ]; then mv \"\$1$program.real\" \"\$1$program\"; fi; "
    put_back+="chroot \"\$1\" dpkg-divert --quiet --local --no-rename --remove $program; "
  done
  say "packages"
  INITRD=No debootstrap root "$(wanted)" --variant=essential "${left[@]}" \
    --essential-hook="$set_aside" --customize-hook="$put_back"
}
