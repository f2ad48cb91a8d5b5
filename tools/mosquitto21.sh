#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpacks Mosquitto 2.1 from Debian's unstable into a folder, without installing it: tests/mosquitto and tests/broker
# then also test the `#2.1` lines of systemd/mosquitto with it. Dependencies that this machine lacks, or has only in an
# older version, are included.
set -euo pipefail

readonly KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
readonly MARK=mosquitto # starts it, and identifies a folder of an earlier run

fail() {
  printf 'mosquitto21.sh: %s\n' "$*" >&2
  exit 1
}

if [ "$#" -lt 1 ] || [ "$#" -gt 2 ]; then
  printf 'usage: tools/mosquitto21.sh DIR [MIRROR]: DIR as build/mosquitto21, MIRROR as in this machine'"'"'s sources\n' >&2
  exit 2
fi
target=$1
[ ! -e "$target" ] || [ -x "$target/$MARK" ] || fail "$target is there, and is not what this makes"
[ -r "$KEYS" ] || fail "there is no $KEYS; Debian's package debian-archive-keyring has it"
mirror=${2:-$("$(dirname "$0")/mirror.sh")}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,new}
cat >"$work/unstable.sources" <<EOF
Types: deb
URIs: $mirror
Suites: sid
Components: main
Signed-By: $KEYS
EOF
# A separate apt, which trusts only those keys and has no other source. It only reads this machine's packages, to skip
# those already installed.
apt() {
  timeout 600 apt-get -q -o "Dir::State=$work/state" -o Dir::State::status=/var/lib/dpkg/status \
    -o "Dir::Cache=$work/cache" -o "Dir::Etc::SourceList=$work/unstable.sources" -o Dir::Etc::SourceParts=- \
    -o Dir::Etc::Preferences=- -o Dir::Etc::PreferencesParts=- -o APT::Sandbox::User= -o Debug::NoLocking=true \
    -o Acquire::Languages=none -o Acquire::Retries=3 "$@" >>"$work/log" 2>&1 </dev/null ||
    { tail -n 15 "$work/log" >&2 && fail "apt-get ${*: -1} failed"; }
}
apt update
apt --simulate --no-install-recommends install mosquitto
# A newer C library may be included; its parts for compiling are left out, and so are Mosquitto's clients.
mapfile -t packages < <(sed -n 's/^Inst \([^ ]*\) .*/\1/p' "$work/log" | grep -Ev '^(libc-|libc6-|locales|mosquitto-)')
(cd "$work/cache/archives" && apt download "${packages[@]}")
for package in "$work"/cache/archives/*.deb; do
  dpkg-deb -x "$package" "$work/new"
  basename "$package"
done
libraries=$(cd "$work/new" && find usr/lib -name 'libmosquitto*.so*' -printf '%h\n' -quit)
/usr/sbin/ldconfig -n "$work/new/$libraries" # the links that a package leaves to its installation
# A C library requires its own loader.
loader=$(cd "$work/new" && find usr/lib -name 'ld-linux-*.so.*' -print -quit)
cat >"$work/new/$MARK" <<EOF
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
libraries=\$here/$libraries loader=$loader
[ -z "\$loader" ] || exec "\$here/\$loader" --library-path "\$libraries" "\$here/usr/sbin/mosquitto" "\$@"
LD_LIBRARY_PATH=\$libraries exec "\$here/usr/sbin/mosquitto" "\$@"
EOF
chmod 755 "$work/new" "$work/new/$MARK"
"$work/new/$MARK" -h >"$work/says" 2>&1 || [ -s "$work/says" ] || fail "it does not start: $(cat "$work/says")"
grep -m 1 '^mosquitto version 2\.[1-9]' "$work/says" || fail "it says: $(head -n 1 "$work/says")"
rm -rf "$target"
mkdir -p "$(dirname "$target")"
mv "$work/new" "$target"
