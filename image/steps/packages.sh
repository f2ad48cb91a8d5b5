# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian's packages for arm64: into the image's root, and a second folder to build and to take single files from.

readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.pgp

# Programs of the image run on this machine by qemu's user emulation; a fresh machine has not registered it.
run_foreign() {
  local handlers=/proc/sys/fs/binfmt_misc
  [ -e $handlers/register ] || mount -t binfmt_misc binfmt_misc $handlers
  [ -e $handlers/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >$handlers/register
}

# Unpacked, never configured: a compiler for the one wheel and the one module, the Pi's boot firmware, a static shell.
readonly KIT_WANTED=base-files,gcc,libc6-dev,python3-dev,python3-setuptools,python3-wheel,libasound2-dev,raspi-firmware,busybox-static,make,linux-headers-arm64/trixie-backports
readonly POOL=build/packages # fetched once for all builds, each under its hash
readonly MAKERS=(
  mmdebstrap squashfs-tools cryptsetup-bin dosfstools mtools e2fsprogs fdisk cpio zstd xz-utils bmap-tools kmod
  device-tree-compiler python3.13
)

# This machine's part in the bytes of an image.
made_by() { dpkg-query --show --showformat '# made by ${Package} ${Version}\n' "${MAKERS[@]}"; }

wanted() {
  sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' ${LINETAP_KERNEL:+-e /^linux-image-/d} image/packages.txt | paste -sd,
}

# Which packages, with their hashes: by LINETAP_LOCK, where an earlier build's packages.lock is named, or as the archive
# has them today. Either way they are fetched by that list, and nothing else can be installed.
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

# Of a folder's packages those that go into the root: they are listed with the others.
list_kernel() {
  local package own=()
  for package in "$LINETAP_KERNEL"/linux-*.deb; do
    [ "$(place_of "$package")" != root ] || own+=("$package")
  done
  "$PYTHON" image/packagelock.py add --lock "$WORK/packages.lock" --keep "$POOL" --part root "${own[@]}" || exit 1
}

# root or kit, what of it, and how.
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

# What is in no unit: documents and other languages.
readonly LEFT_OUT=(
  '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/lintian/*'
  '/usr/share/bash-completion/*' '/usr/share/zsh/*'
)
readonly SLOW=(/usr/bin/py3compile /usr/sbin/depmod /usr/sbin/update-initramfs /usr/sbin/mkinitramfs)

# What hooks of packages start dozens of times would take twice as long as all the rest, emulated; what it makes is made
# once, by this machine, or not wanted.
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
