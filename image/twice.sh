#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two builds of one commit, one after the other: nothing between them may differ. `image/twice.sh`, as root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly OUT=build/image FIRST=build/image-first

image/build.sh
rm -rf "$FIRST"
mkdir -p "$FIRST"
cp "$OUT/SHA256SUMS" "$OUT/manifest.txt" "$OUT/sbom.spdx.json" "$FIRST/"
cp --sparse=always "$OUT/slot.img" "$FIRST/"
image/build.sh
status=0
diff "$FIRST/SHA256SUMS" "$OUT/SHA256SUMS" || status=1
if [ "$status" -ne 0 ]; then
  diff "$FIRST/manifest.txt" "$OUT/manifest.txt" || true
  cmp "$FIRST/slot.img" "$OUT/slot.img" || true
fi
[ "$status" -eq 0 ] && printf 'the same to the byte:\n' && cat "$OUT/SHA256SUMS"
exit "$status"
