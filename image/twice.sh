#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the checked-out commit twice, the second time in a clone elsewhere with the first build's list of packages, all
# fetched again. The results must be equal, independent of the archive's present state, paths, umask, environment and
# file times. Updates are compared without their signatures. `image/twice.sh`, as root, after ./build.sh image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly FIRST=$PWD/build/image
COMMIT=$(git rev-parse HEAD) # HEAD may advance meanwhile
SECOND=$(mktemp -d "${TMPDIR:-/tmp}/linetap-twice-XXXXXX")
trap 'rm -rf --one-file-system "$SECOND"' EXIT

grep -qF "(${COMMIT:0:12})" "$FIRST/manifest.txt" || image/build.sh
chmod 755 "$SECOND"
(umask 077 && git clone --quiet . "$SECOND/linetap" && cd "$SECOND/linetap" && git checkout --quiet "$COMMIT")
chmod 755 "$SECOND/linetap"
cd "$SECOND/linetap"
find . -path ./.git -prune -o -type f -exec touch --date=2001-02-03 {} +
mkdir build
cp -r "$FIRST/../update-key" build/ # the root's trusted signer is part of it
./build.sh setup
(umask 077 && HOME=$SECOND TZ=Asia/Seoul LANG=ko_KR.UTF-8 LINETAP_LOCK=$FIRST/packages.lock image/build.sh)
if diff "$FIRST/SHA256SUMS" build/image/SHA256SUMS && image/payload.py same "$FIRST"/linetap-*.raucb build/image/linetap-*.raucb; then
  printf 'the same to the byte:\n'
  cat "$FIRST/SHA256SUMS"
else
  diff "$FIRST/manifest.txt" build/image/manifest.txt || true
  cmp "$FIRST/slot.img" build/image/slot.img || true
  exit 1
fi
