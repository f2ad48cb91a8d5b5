#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Whether an image is built from the present files:
#   image/sources.sh           prints one SHA-256 over the image's sources as they are now, committed or not
#   image/sources.sh FOLDER    ends with 1 and a message if the image in FOLDER was built from other files;
#                              FOLDER/sources has its SHA-256 and its commit. LINETAP_IMAGE_AS_IS=1: it is accepted anyway
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly FROM=(firmware/core firmware/unit systemd image hardware/overlay hardware/pins.toml requirements.lock LICENSE)
readonly NOT=(':(exclude)image/.*' ':(exclude)image/published')

# A file that was deleted has no line.
sum() {
  git ls-files -z --cached --others --exclude-standard -- "${FROM[@]}" "${NOT[@]}" | LC_ALL=C sort -zu |
    { xargs -0 sh -c 'stat -c "%f %n" "$@"; sha256sum "$@"; :' sum 2>/dev/null || :; } | sha256sum | cut -d' ' -f1
}

if [ "$#" -eq 0 ]; then
  sum
  exit
fi
made='' commit=unknown
[ ! -s "$1/sources" ] || read -r made commit <"$1/sources"
[ "$made" = "$(sum)" ] || [ "${LINETAP_IMAGE_AS_IS:-}" = 1 ] || {
  echo "the image in $1 is of other files (commit $commit): \`./build.sh image\` makes it anew, LINETAP_IMAGE_AS_IS=1 takes it as it is" >&2
  exit 1
}
