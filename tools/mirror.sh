#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints this machine's own Debian mirror, without a slash at the end: http://.../debian. LINETAP_MIRROR overrides it.
# Used by scripts that fetch packages for other machines, with suites of their own.
set -euo pipefail

# shellcheck disable=SC2016 # apt's own variable
at=${LINETAP_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
  { grep '^http' || true; } | sort -u | head -n 1)}
[ -n "$at" ] || {
  echo 'mirror.sh: apt knows no mirror of Debian here; LINETAP_MIRROR names one' >&2
  exit 1
}
printf '%s\n' "${at%/}"
