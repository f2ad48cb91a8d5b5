#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Debian packages of this commit, and a folder that apt installs them from, in build/deb/: `./build.sh deb`. By debhelper
# and pybuild, the same to the byte from the same commit. Its own things it takes from git and build/notices; of
# elsewhere only pyalsaaudio, which Debian 13 has in an older version, by its hash in requirements.lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
umask 022

readonly OUT=${LINETAP_DEB:-build/deb} # another folder for the same packages once more
readonly WORK=$OUT/work
readonly TREE=$WORK/linetap
NUMBER=$(sed -n 's/^version = "\(.*\)"/\1/p' firmware/core/pyproject.toml)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
# A later commit is a later version for apt, whatever its hash.
VERSION=$NUMBER+$(TZ=UTC date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$(git rev-parse --short=8 HEAD)
readonly NUMBER VERSION SOURCE_DATE_EPOCH
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC DEB_BUILD_OPTIONS='nocheck noautodbgsym'

say() { printf 'deb: %3d s  %s\n' "$SECONDS" "$*"; }
fail() {
  printf 'deb: %s\n' "$*" >&2
  exit 1
}

# What git knows or could, and nothing else: no folder that an earlier build or an editor has left.
of_git() {
  git -C "$1" ls-files -z --cached --others --exclude-standard -- "${@:3}" |
    tar --create --directory "$1" --null --files-from=- | tar --extract --directory "$2" --no-same-owner
}

lay_out() {
  local part
  rm -rf --one-file-system "$WORK"
  mkdir -p "$TREE"/{notices,bin,systemd,debian,alsaaudio}
  for part in core desk unit; do
    mkdir "$TREE/$part"
    of_git "firmware/$part" "$TREE/$part"
  done
  of_git firmware/debian "$TREE/debian"
  of_git systemd "$TREE/systemd"
  rm -r "$TREE/systemd/README.md" "$TREE/debian"/{build.sh,sign.sh,container}
  cp build/notices/* "$TREE/notices/"
  cp hardware/pins.toml "$TREE/"
  cp image/linetap "$TREE/bin/"
  .venv/bin/pip --quiet download --no-deps --no-build-isolation --no-binary :all: --require-hashes --dest "$WORK" \
    -r <(grep '^pyalsaaudio==' requirements.lock) || fail "pyalsaaudio could not be fetched"
  tar -xf "$WORK"/pyalsaaudio-*.tar.gz -C "$TREE/alsaaudio" --strip-components=1
  cat >"$TREE/debian/changelog" <<END
linetap ($VERSION) trixie; urgency=medium

  * CHANGELOG.md lists the changes.

 -- linetap maintainers <maintainers@linetap.invalid>  $(date -R -d "@$SOURCE_DATE_EPOCH")
END
}

build() {
  local -x PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH='' # Debian's own Python, and no virtual environment
  (cd "$TREE" && dpkg-buildpackage --build=binary --no-sign --no-check-builddeps) >"$WORK/build.log" 2>&1 ||
    { tail -n 25 "$WORK/build.log" >&2; fail "dpkg-buildpackage failed; all of its output is in $WORK/build.log"; }
}

# A folder for apt: `deb [trusted=yes] file:/FOLDER ./`, as trusted as whoever may write it. LINETAP_DEB_SIGNER names an
# OpenPGP key of gpg's: then it is signed by that, and apt takes it by [signed-by=linetap.pgp] from anywhere.
publish() {
  find "$OUT" -maxdepth 1 -type f -delete
  mv "$WORK"/*.deb "$OUT/"
  (
    cd "$OUT"
    dpkg-scanpackages --multiversion . >Packages 2>work/scan.log || fail "$(tail -n 3 work/scan.log)"
    printf 'Suite: linetap\nDate: %s\nSHA256:\n %s %s Packages\n' "$(date -R -d "@$SOURCE_DATE_EPOCH")" \
      "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" >Release
    sha256sum ./*.deb >SHA256SUMS
  )
  [ -z "${LINETAP_DEB_SIGNER:-}" ] || firmware/debian/sign.sh "$OUT" "$LINETAP_DEB_SIGNER"
}

lay_out
say "laid out: $VERSION"
build
publish
say "$(find "$OUT" -maxdepth 1 -name '*.deb' -printf '%f %k KiB\n' | sort | paste -sd,)"
rm -rf --one-file-system "$WORK"
