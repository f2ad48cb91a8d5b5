#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the card of a unit, from Debian's packages and this commit, in build/image/. As root, without loop device and
# container. `./build.sh image` installs the tools and calls it; --signed: with a boot.img for a Pi's verified boot.
# LINETAP_MIRROR: the mirror of Debian's packages, by default that of this machine. LINETAP_LOCK: an earlier build's
# packages.lock, to use the same packages again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
umask 022 # modes are part of the image, and must not depend on the builder's

readonly OUT=build/image
readonly WORK=$OUT/work # remains of an aborted build are of no use to the next
readonly ROOT=$WORK/root KIT=$WORK/kit CARD=$WORK/card
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' firmware/core/pyproject.toml)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
COMMIT=$(git rev-parse --short=12 HEAD)
[ -z "$(git status --porcelain)" ] || COMMIT+=-changed
SOURCES=$(image/sources.sh)
readonly VERSION COMMIT SOURCE_DATE_EPOCH SOURCES
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC

say() { printf 'image: %4d s  %s\n' "$SECONDS" "$*"; }
fail() {
  printf 'image: %s\n' "$*" >&2
  exit 1
}

# The version of the image's kernel; it has exactly one.
kernel() { basename "$ROOT"/usr/lib/modules/*; }

# shellcheck source=image/layout.sh
. image/layout.sh
# shellcheck source=image/steps/packages.sh
. image/steps/packages.sh
# shellcheck source=image/steps/kernel.sh
. image/steps/kernel.sh
# shellcheck source=image/steps/root.sh
. image/steps/root.sh
# shellcheck source=image/steps/module.sh
. image/steps/module.sh
# shellcheck source=image/steps/boards.sh
. image/steps/boards.sh
# shellcheck source=image/steps/boot.sh
. image/steps/boot.sh
# shellcheck source=image/steps/card.sh
. image/steps/card.sh
# shellcheck source=image/steps/update.sh
. image/steps/update.sh
# shellcheck source=image/steps/signed.sh
. image/steps/signed.sh

rm -rf --one-file-system "$WORK" "$OUT/sources"
mkdir -p "$WORK" "$CARD"
[ "${1:-}" != --signed ] || require_boot_key
run_foreign
choose_packages
unpack_kit
install_packages
lay_kernel
lay_python
lay_module
lay_files
trust_signer
[ "${1:-}" != --signed ] || lay_boot_key
enable_units
strip_root
lay_trees
keep_modules
check_boards
lay_licences
pack_initramfs
pack_slot
fill_boot
[ "${1:-}" != --signed ] || pack_signed
write_card
write_bundle
list_contents
printf '%s %s\n' "$SOURCES" "$COMMIT" >"$OUT/sources" # the image is complete: `hil` may use it
compress
list_holes
rm -rf --one-file-system "$WORK"
name_choices
say "done: $(du -h "$OUT/linetap.img.xz" | cut -f1) $OUT/linetap.img.xz"
