#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The next version of the image in build/image, as a bundle: the same root with another number, and what CHANGE, which
# bash runs in it, makes of it. usage: next_version.sh VERSION OUT.raucb [CHANGE]. As root: the root's files have owners.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=$1 out=$2 change=${3:-:}
OUT=build/image
WORK=$(mktemp -d "${TMPDIR:-/tmp}/linetap-next-XXXXXX")
readonly OUT WORK ROOT=$WORK/root
trap 'rm -rf --one-file-system "$WORK"' EXIT
export SOURCE_DATE_EPOCH=0

say() { :; }
fail() {
  printf 'next_version: %s\n' "$*" >&2
  exit 1
}

readonly UPDATE_KEY=build/update-key/key.pem BIN=.venv/bin

# shellcheck source=image/layout.sh
. image/layout.sh
# shellcheck source=image/steps/boot.sh
. image/steps/boot.sh

unsquashfs -quiet -no-progress -d "$ROOT" "$OUT/slot.img" >/dev/null
sed -i "s/^VERSION=.*/VERSION=$version/" "$ROOT/usr/lib/linetap/release"
(cd "$ROOT" && bash -euc "$change")
seal_slot 1
rm -f "$out"
image/bundle.sh "$version" "$WORK/slot.img" "$WORK/cmdline.txt" image/boot/config.txt "$out" \
  build/update-key/certificate.pem "$UPDATE_KEY" >/dev/null
