#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds a published image again and compares: `image/confirm.sh FOLDER`, as root. FOLDER has the publisher's
# manifest.txt, packages.lock, certificate.pem, slot.cmdline and SHA256SUMS. The build takes commit, packages,
# certificate and the signatures for keys in a TPM from them, and has another clone, umask, time zone and language, older
# files and newly fetched packages. 0: the same to the byte; 1: not the same, and the second build is kept; 2: the
# folder is unusable.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly NEEDED=(manifest.txt packages.lock certificate.pem slot.cmdline SHA256SUMS)

fail() {
  printf 'confirm: %s\n' "$*" >&2
  exit 2
}

[ "$#" -eq 1 ] || fail "usage: image/confirm.sh FOLDER"
PUBLISHED=$(realpath -e "$1") || fail "there is no folder $1"
for name in "${NEEDED[@]}"; do [ -s "$PUBLISHED/$name" ] || fail "$1: no $name"; done
for name in "${NEEDED[@]:0:4}"; do
  (cd "$PUBLISHED" && grep -E "^[0-9a-f]{64}  $name\$" SHA256SUMS | sha256sum --check --status --strict) ||
    fail "$1/$name is not the file that SHA256SUMS names"
done
[ ! -d "$PUBLISHED/signed" ] || fail "$1 is a card for a Pi's verified boot, whose boot.sig needs the publisher's key"
commit=$(sed -nE '1s/^linetap [0-9.]+ \(([0-9a-f]{12})\)$/\1/p' "$PUBLISHED/manifest.txt")
[ "$commit" ] || fail "$1/manifest.txt: its first line names no commit; an image of changed files has none"
git cat-file -e "$commit^{commit}" 2>/dev/null || fail "$1 is of commit $commit, which this clone does not have"

SECOND=$(mktemp -d "${TMPDIR:-/tmp}/linetap-confirm-XXXXXX")
trap 'rm -rf --one-file-system "$SECOND"' EXIT
chmod 755 "$SECOND"
(umask 077 && git clone --quiet . "$SECOND/linetap" && git -C "$SECOND/linetap" checkout --quiet "$commit")
chmod 755 "$SECOND/linetap"
cd "$SECOND/linetap"
find . -path ./.git -prune -o -type f -exec touch --date=2001-02-03 {} +
./build.sh setup
(umask 077 && HOME=$SECOND TZ=Asia/Seoul LANG=ko_KR.UTF-8 LINETAP_UPDATE_KEY='' LINETAP_LOCK=$PUBLISHED/packages.lock \
  LINETAP_UPDATE_CERTIFICATE=$PUBLISHED/certificate.pem LINETAP_PUBLISHED_CMDLINE=$PUBLISHED/slot.cmdline image/build.sh)
if diff "$PUBLISHED/SHA256SUMS" build/image/SHA256SUMS; then
  printf 'the same to the byte:\n'
  cat "$PUBLISHED/SHA256SUMS"
  exit
fi
trap - EXIT
diff "$PUBLISHED/manifest.txt" build/image/manifest.txt || true
printf 'confirm: not the same; the second build is in %s/build/image\n' "$PWD" >&2
exit 1
