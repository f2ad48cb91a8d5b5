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

# Never this machine's own sources: what they bring besides would be in the image.
write_sources() {
  local at suite
  at=$(tools/mirror.sh)
  for suite in trixie trixie-updates trixie-backports; do
    printf 'deb [signed-by=%s] %s %s main non-free-firmware\n' "$KEYRING" "$at" "$suite"
  done >"$WORK/debian.list"
  printf 'deb [signed-by=%s] %s-security trixie-security main\n' "$KEYRING" "$at" >>"$WORK/debian.list"
}

wanted() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' image/packages.txt | paste -sd,; }

debootstrap() {
  mmdebstrap --quiet --mode=root --architectures=arm64 --aptopt='Acquire::Retries "3"' \
    --aptopt='APT::Install-Recommends "false"' "$@" "$WORK/debian.list" 2>"$WORK/mmdebstrap.log" ||
    { tail -n 15 "$WORK/mmdebstrap.log" >&2; fail "mmdebstrap failed"; }
}

# Unpacked, never configured: a compiler for the one wheel and the one module, the Pi's boot firmware, a static shell.
unpack_kit() {
  say "the kit: compiler, boot firmware, busybox"
  debootstrap --variant=extract trixie "$KIT" \
    --include=base-files,gcc,libc6-dev,python3-dev,python3-setuptools,python3-wheel,libasound2-dev,raspi-firmware,busybox-static,make,linux-headers-arm64/trixie-backports
}

# What is in no unit: documents, other languages, and drivers of what no closet has. No driver, no way in.
readonly LEFT_OUT=(
  '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/lintian/*'
  '/usr/share/bash-completion/*' '/usr/share/zsh/*'
  '/usr/lib/modules/*/kernel/drivers/gpu/*' '/usr/lib/modules/*/kernel/drivers/media/*'
  '/usr/lib/modules/*/kernel/drivers/infiniband/*' '/usr/lib/modules/*/kernel/drivers/iio/*'
  '/usr/lib/modules/*/kernel/drivers/hid/*' '/usr/lib/modules/*/kernel/drivers/input/*'
  '/usr/lib/modules/*/kernel/drivers/net/usb/*' '/usr/lib/modules/*/kernel/drivers/bluetooth/*'
  '/usr/lib/modules/*/kernel/drivers/scsi/*/*' '/usr/lib/modules/*/kernel/drivers/staging/*'
  '/usr/lib/modules/*/kernel/drivers/accel/*' '/usr/lib/modules/*/kernel/drivers/nfc/*'
  '/usr/lib/modules/*/kernel/drivers/firewire/*' '/usr/lib/modules/*/kernel/drivers/thunderbolt/*'
  '/usr/lib/modules/*/kernel/fs/btrfs/*' '/usr/lib/modules/*/kernel/fs/xfs/*' '/usr/lib/modules/*/kernel/fs/ocfs2/*'
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
  INITRD=No debootstrap --variant=essential trixie "$ROOT" --include="$(wanted)" "${left[@]}" \
    --essential-hook="$set_aside" --customize-hook="$put_back"
}
