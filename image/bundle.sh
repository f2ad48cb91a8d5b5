#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a signed update from a slot's root and its boot files:
#   image/bundle.sh VERSION slot.img slot.cmdline config.txt OUT.raucb CERTIFICATE KEY [SIGNED]
# slot.cmdline is the kernel's command line without the slot, config.txt the firmware's with @SLOT@ for its letter
# (image/boot/config.txt). SIGNED is the folder with boot.part, boot.place and boot.sig (image/steps/signed.sh): the
# update is then only for units with a signed card.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
  printf 'bundle.sh: %s\n' "$*" >&2
  exit 2
}

[ "$#" -eq 7 ] || [ "$#" -eq 8 ] || fail "usage: bundle.sh VERSION slot.img slot.cmdline config.txt OUT.raucb CERTIFICATE KEY [SIGNED]"
version=$1 root=$2 cmdline=$3 config=$4 out=$5 certificate=$6 key=$7
boot=("$here/root/usr/lib/linetap/bootfiles")
[ "$#" -eq 7 ] || boot+=("$8"/boot.part "$8"/boot.place "$8"/boot.sig "$here/root/usr/lib/linetap/autoboot")
[[ $version =~ ^(0|[1-9][0-9]{0,4})(\.(0|[1-9][0-9]{0,4})){2}$ ]] || fail "$version is no version; 0.2.0 expected"
for file in "$root" "$cmdline" "$config" "$certificate" "$key" "${boot[@]}"; do [ -s "$file" ] || fail "$file: there is nothing there"; done
grep -q '^os_prefix=@SLOT@/$' "$config" || fail "$config: no line os_prefix=@SLOT@/, by which a slot is known"
[ "$(wc -l <"$cmdline")" -le 1 ] || fail "$cmdline: more than one line"
[ ! -e "$out" ] || fail "$out is there already"

umask 022 # equal signed contents for every builder, at the time of SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/content"
cp --reflink=auto --sparse=always "$root" "$work/content/root.img"
chmod 644 "$work/content/root.img"
install -m 644 "$cmdline" "$work/content/cmdline.txt"
"$here/config.sh" "$config" >"$work/content/config.txt" || fail "$config: it has to be one sector, for a slot's folder"
install -m 755 "$here/hook.sh" "$work/content/hook.sh"
install -m 644 -t "$work/content" "${boot[@]}"
cat >"$work/content/manifest.raucm" <<END
[update]
compatible=linetap
version=$version

[bundle]
format=${LINETAP_BUNDLE_FORMAT:-plain}

[hooks]
filename=hook.sh
hooks=install-check

[image.rootfs]
filename=root.img
hooks=post-install
END
rauc bundle --cert="$certificate" --key="$key" "$work/content" "$out"
