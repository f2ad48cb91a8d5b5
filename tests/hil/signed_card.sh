#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A signed card and its update of the image in build/image, of whichever kind that is: the same root with another number
# and the key's public half, and what CHANGE, which bash runs in it, makes of it. By the image's own steps, as root.
# usage: signed_card.sh KEY.pem VERSION OUT-FOLDER card|update [CHANGE]
# shellcheck disable=SC2034,SC1091 # read by the image's steps
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=$2 what=$4 change=${5:-:}
OUT=$(realpath -m --relative-to=. "$3") FROM=build/image # write_card joins it to this folder
readonly OUT WORK=$OUT/work ROOT=$OUT/work/root CARD=$OUT/work/card LINETAP_BOOT_KEY=$1
export SOURCE_DATE_EPOCH=0

say() { :; }
fail() {
  printf 'signed_card: %s\n' "$*" >&2
  exit 1
}

readonly UPDATE_KEY=build/update-key/key.pem BIN=.venv/bin

# shellcheck source=image/layout.sh
. image/layout.sh
# shellcheck source=image/steps/boot.sh
. image/steps/boot.sh
# shellcheck source=image/steps/card.sh
. image/steps/card.sh
# shellcheck source=image/steps/signed.sh
. image/steps/signed.sh

mkdir -p "$CARD/a"
trap 'rm -rf --one-file-system "$WORK"' EXIT
unsquashfs -quiet -no-progress -d "$ROOT" "$FROM/slot.img" >/dev/null
sed -i "s/^VERSION=.*/VERSION=$version/" "$ROOT/usr/lib/linetap/release"
(cd "$ROOT" && bash -euc "$change")
require_boot_key
lay_boot_key
seal_slot 1
cp "$ROOT"/usr/lib/linetap/firmware/* "$CARD/"
mcopy -i "$FROM/linetap.img@@1M" ::LICENCE.raspi-firmware "$CARD/"
cp -r "$ROOT"/usr/lib/linetap/boot/. "$CARD/a/"
image/config.sh image/boot/config.txt | sed "s/@SLOT@/a/" >"$CARD/a/config.txt"
pack_signed
[ "$what" != card ] || write_card
image/bundle.sh "$version" "$WORK/slot.img" "$WORK/cmdline.txt" image/boot/config.txt "$OUT/linetap-$version.raucb" \
  build/update-key/certificate.pem "$UPDATE_KEY" "$SIGNED" >/dev/null
