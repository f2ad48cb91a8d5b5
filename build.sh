#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All commands for a clone of linetap on Debian 13; `./build.sh` alone lists them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly PACKAGES=(
  python3 python3-venv python3-dev gcc libc6-dev # pyalsaaudio is only available as source
  libasound2-dev libasound2-plugins jackd2       # sound without a sound card
  mosquitto mosquitto-clients
  age openssh-client openssl sigsum-go espeak-ng ffmpeg sox jq unzip shellcheck
  nginx                                # 0.6 MB, 1.6 MB installed: serves updates by the configuration of docs/update.md
  libopus0                             # 3 MB, also a dependency of ffmpeg: the codec "opus"
  chrony                               # runs our configuration, and never sets this machine's clock
  systemd                              # runs the units in a separate namespace
  nftables iproute2                    # 0.7 MB, 4 MB installed: the image's packet filter, in a separate namespace
  strace                               # 1 MB, 3 MB installed: the file names opened by each service, for attacks
  libfaketime                          # 0.1 MB: runs services in another decade, with a clock set in a call
  promtool                             # 16 MB, 85 MB installed: checks our rules and figures for Prometheus
  python3-moto                         # 12 MB: a store of S3's protocol for the second copy
  postgresql-17                        # 19 MB, 59 MB installed: the desk's index if one machine is too small for SQLite
  ngspice device-tree-compiler         # 15 MB: simulation of the front end from its drawing; compilation of the overlay
  chromium-headless-shell fonts-noto-cjk # 310 MB installed: the desk's pages in a browser
  firefox-esr                          # 80 MB, 310 MB installed: the same pages in another maker's browser
  webkitgtk-webdriver xvfb             # 47 MB, 170 MB installed: and in Safari's engine
  poppler-utils                        # 0.2 MB, 6 MB installed: counts the pages that a browser prints
  chromium                             # 320 MB installed: the whole browser, for its traces on a disk; the bench
  7zip                                 # 1.7 MB, 5 MB installed: opens a citizen's copy as on the citizen's computer
  zbar-tools                           # 0.1 MB: reads a printed QR code
  debsecan                             # 0.1 MB, python3-apt 1 MB: known vulnerabilities of an SBOM
  rauc rauc-service squashfs-tools     # 0.4 MB, 1 MB installed: bundles, verifies and installs updates
  swtpm tpm2-tools libtss2-tcti-swtpm0t64 # 1.5 MB, 6 MB installed: a TPM for the unit's key, and stock tools on it
  kmod                                 # 0.1 MB: lists the modules of an initramfs
  cryptsetup-bin e2fsprogs fdisk busybox-static # 1.7 MB: a card's partitions, encrypted; the shell of its initramfs
  dosfstools mtools bmap-tools cpio xxd # 0.7 MB, 2 MB installed: boot partitions, signed and written as by others
  libfuse3-dev pkg-config              # 0.5 MB, 2 MB installed: a disk that loses unflushed data, for power cuts
  minimodem multimon-ng libspandsp2t64 # references for the detectors
  asterisk-moh-opsound-gsm             # 1.8 MB: music that must not be detected as speech
  asterisk-core-sounds-en-wav asterisk-core-sounds-fr-wav asterisk-core-sounds-it-wav asterisk-core-sounds-ru-wav
)
readonly IMAGE_PACKAGES=( # only for `image` and `hil`
  mmdebstrap arch-test qemu-user-binfmt debian-archive-keyring            # Debian's packages for another architecture
  squashfs-tools cryptsetup-bin dosfstools mtools e2fsprogs fdisk     # makes a card without a mount
  cpio zstd xz-utils xxd bmap-tools binutils kmod device-tree-compiler rauc
)
readonly DEB_PACKAGES=( # only for `deb`: 30 MB, 90 MB installed
  debhelper dh-python pybuild-plugin-pyproject python3-setuptools dpkg-dev
)
readonly DEB_TRY_PACKAGES=(
  mmdebstrap debian-archive-keyring lintian gpg gpg-agent
  prometheus-alertmanager # amtool checks our example
  podman crun netavark    # 100 MB: the desk as a container
)
readonly HIL_PACKAGES=(qemu-system-arm nmap iproute2)
readonly CLUSTER_PACKAGES=(rabbitmq-server haproxy iproute2) # 39 MB, 70 MB installed: only for `bench cluster`
readonly FOREIGN_PACKAGES=( # 217 MB, 1.7 GB installed: only for the whole `test`
  gcc-arm-none-eabi libnewlib-arm-none-eabi # compiles the meter's program for its part
  qemu-system-arm                           # 10 MB, 64 MB installed: emulates that part's core
  dfu-util                                  # 0.1 MB: an independent client for the meter's loader
  kicad                                     # reads the card's drawing
  kicad-footprints                          # 7 MB, 155 MB installed: references for the board's footprints
  kicad-symbols                             # 3 MB, 216 MB installed: references for its parts' terminals
  debian-archive-keyring                    # verifies Mosquitto 2.1 and device trees, fetched below
)
# The image's own Debian Python packages, for the tests of its programs.
mapfile -t SHIPPED < <(grep -o '^python3-[a-z0-9-]*' image/packages.txt)
readonly SHIPPED
readonly PYTHON=/usr/bin/python3 # Debian's own: the wheels of requirements.lock are for 3.13
readonly BIN=.venv/bin
readonly STAMP=.venv/installed
readonly POLICY=/usr/sbin/policy-rc.d

say() { printf '%s\n' "$*"; }
fail() {
  printf 'build.sh: %s\n' "$*" >&2
  exit 1
}

bad_usage() {
  printf 'build.sh: %s\n' "$*" >&2
  exit 2
}

usage() {
  cat <<'EOF'
usage: ./build.sh COMMAND
  demo             install what is missing, then a minute of real calls on 8 simulated lines, sealed and opened
  demo --desk [--minutes N] [--keep]
                   the desk's pages in a browser, before such a unit and ten simulated ones, until Ctrl-C
  test [--quick]   install what is missing, then lint, types and every test; quick: lint and two minutes of tests
  setup            only the installing, into .venv; a second run takes seconds
  bench            the benchmarks: a table, and JSON in build/bench/
  bench day [--seed N] [--days N] [--calls N] [--only CALL [--wav FILE]]
                   a city hall's day of calls, and what the recorder made of them
  soak [MINUTES]   the long tests (default 60)
  image [--lock FILE] [--signed]
                   the bootable image in build/image/; lock: of the packages in an earlier build's packages.lock;
                   signed: with the boot.img for a Pi's verified boot
  image --confirm FOLDER
                   builds the published image of FOLDER once more, from its commit, packages and certificate, and
                   compares to the byte
  hil [--quick]    that image in the emulated machine
  meter [KEY]      program and loader of the line meter, and the signed file for `linetap meter update`, in build/meter/;
                   without the maker's key it is signed with a new one
  board [line|card]
                   the boards of the card and of one line of it: placed, routed, checked by KiCad; the factory's files in
                   build/board/, of card 1 and of cards 2 to 4; then the results of the drawing's checks: rails, corners,
                   rules, wrong cards, single faults
  deb [--try]      Debian packages of desk, tools and unit in build/deb/; try: installs them on a bare Debian 13 by
                   docs/install-desk.md, and requires a second build to give the same bytes
EOF
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Passes on every LINETAP_ variable of a site, its keys, kernel and firmware: sudo alone would drop them.
with_settings() {
  local name settings=()
  for name in "${!LINETAP_@}"; do settings+=("$name=${!name}"); done
  as_root env "${settings[@]}" "$@"
}

make_image() { with_settings image/build.sh "$@"; }

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || printf '%s\n' "$package"
  done
}

# Debian starts a newly installed daemon. A broker on the standard port must not be started by us, so a temporary policy
# forbids it during the installation, unless this machine has its own policy.
forbid_daemons() {
  [ ! -e "$POLICY" ] || return 0
  trap allow_daemons EXIT
  printf '#!/bin/sh\n# for the time of linetap build.sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
  as_root chmod 755 "$POLICY"
}

allow_daemons() {
  as_root rm -f "$POLICY"
  trap - EXIT
}

# It would write to this machine's root every day; here it is only run on demand.
keep_debsecan_quiet() {
  [[ " $* " == *" debsecan "* ]] || return 0
  printf 'debsecan debsecan/report boolean false\n' | as_root debconf-set-selections
}

install_packages() {
  local missing log
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "missing: ${missing[*]}; this installs them on Debian 13 only"
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || fail "missing: ${missing[*]}; run this as root, or install sudo"
  say "packages: installing ${missing[*]}"
  log=$(mktemp)
  forbid_daemons
  if ! {
    keep_debsecan_quiet "${missing[@]}" &&
      as_root apt-get update -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "${missing[@]}"
  } >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    fail "apt could not install ${missing[*]}; all of its output is in $log"
  fi
  if [ "$(trap -p EXIT)" ]; then allow_daemons; fi
  rm -f "$log"
}

# The path is part of the stamp: a copied virtual environment still points to its original place.
wanted_stamp() {
  { printf '%s\n' "$PWD" && "$PYTHON" --version && cat firmware/*/pyproject.toml requirements.lock; } | sha256sum
}

install_python() {
  [ "$(cat "$STAMP" 2>/dev/null)" != "$(wanted_stamp)" ] || return 0
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 13))' || fail "$PYTHON is older than 3.13; Debian 13 has it"
  say "python: installing requirements.lock into .venv"
  "$PYTHON" -m venv --clear .venv
  local pip=("$BIN/pip" --quiet --disable-pip-version-check install)
  # Packages from source are built with the setuptools of the lock, not with the newest.
  "${pip[@]}" --require-hashes -r <(grep '^setuptools==' requirements.lock) || fail "pip could not install setuptools"
  "${pip[@]}" --require-hashes --no-build-isolation -r requirements.lock ||
    fail "pip could not install requirements.lock; after a change in firmware/*/pyproject.toml, $BIN/python tools/lock.py makes it"
  "${pip[@]}" --no-build-isolation --no-deps --editable firmware/core --editable firmware/unit \
    --editable firmware/desk --editable firmware/bench || fail "pip could not install linetap itself"
  "$BIN/pip" --disable-pip-version-check check >/dev/null ||
    fail "requirements.lock no longer fits firmware/*/pyproject.toml: $BIN/python tools/lock.py makes it"
  wanted_stamp >"$STAMP"
}

# Puts Debian's modules before those of requirements.lock: the unit's tests run with the versions of the image.
link_shipped() {
  local package module
  rm -rf build/shipped
  mkdir -p build/shipped
  for package in "${SHIPPED[@]}"; do
    while read -r module; do
      ln -s "$module" build/shipped/
    done < <(dpkg-query -L "$package" | grep -x '/usr/lib/python3/dist-packages/[^/]*')
  done
}

# Also for guests and users without write access here: a command starts three to five times as fast.
compile_modules() {
  "$BIN/python" -m compileall -q firmware/*/linetap* || fail "$BIN/python could not compile firmware/"
}

make_notices() { # the project's own; a site's in build/notices stay
  [ ! build/notices/shipped.sha256 -nt firmware/unit/linetap/notices/shipped.py ] || return 0
  say "notices: speaking those that are shipped into build/notices"
  "$BIN/python" -m linetap.notices.defaults build/notices || fail "the default notices could not be made"
}

setup() {
  install_packages "${PACKAGES[@]}" "${SHIPPED[@]}"
  install_python
  link_shipped
  compile_modules
  make_notices
  say "ready: $BIN/linetap"
}

# Fetches references for tests that are not needed at once. Unpacked under build/, not installed.
fetch_foreign() {
  install_packages "${FOREIGN_PACKAGES[@]}"
  fetch_gerbonara
  fetch_beside unicorn hardware/emulator/requirements.txt
  fetch_beside descriptions hardware/emulator/descriptions.txt
  fetch_monocypher
  [ -x build/mosquitto21/mosquitto ] || three_times tools/mosquitto21.sh build/mosquitto21
  fetch_trees
}

fetch_trees() {
  [ -e build/trees/bcm2837-rpi-3-b.dtb ] || three_times "$BIN/python" tools/kernel_trees.py
}

fetch_gerbonara() { # reads Gerber files
  fetch_beside gerbonara hardware/pcb/requirements.txt
}

# Installs packages of PyPI outside .venv, into a separate folder with the list of their versions.
fetch_beside() {
  local list=build/$1/installed.txt new=build/$1.new
  ! cmp --silent "$2" "$list" || return 0
  rm -rf "$new"
  "$BIN/pip" --quiet --disable-pip-version-check install --no-deps --require-hashes --target "$new" -r "$2" ||
    fail "pip could not install $2"
  cp "$2" "$new/installed.txt"
  rm -rf "build/$1"
  mv "$new" "build/$1"
}

fetch_monocypher() { # Ed25519 in C for the meter's loader, from the source of a package of PyPI
  [ ! -e build/monocypher/monocypher.c ] || return 0
  local made
  made=$(mktemp -d)
  "$BIN/pip" --quiet --disable-pip-version-check download --no-deps --no-binary :all: --no-build-isolation \
    --require-hashes --dest "$made" -r hardware/meter/loader/requirements.txt ||
    fail "pip could not fetch hardware/meter/loader/requirements.txt"
  mkdir -p build/monocypher
  tar -xzf "$made"/pymonocypher-*.tar.gz -C build/monocypher --strip-components=1 --wildcards '*/monocypher.[ch]'
  rm -r "$made"
}

# While an archive is being updated, its indexes and packages differ for some seconds.
three_times() {
  "$@" || { sleep 10 && "$@"; } || { sleep 30 && "$@"; } || fail "$*: failed three times"
}

FAILED=()
SUMMARY=()
check() {
  local name=$1 start=$SECONDS word=ok
  shift
  say "--- $name"
  "$@" || { word=FAILED && FAILED+=("$name"); }
  SUMMARY+=("$(printf '%-12s %-6s %4d s' "$name" "$word" $((SECONDS - start)))")
}

# A sync to a disk takes milliseconds, which all groups would wait for; in RAM it takes none. Vault and desk have their
# files there, if it is large and permits programs. All others have theirs on the disk, as units do.
scratch() {
  local free
  free=$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)
  if [ "${free:-0}" -lt 4000000 ] || grep -q '^[^ ]* /dev/shm .*noexec' /proc/mounts; then return 0; fi
  mktemp -d /dev/shm/linetap-tests.XXXXXX
}

# Ten groups run in parallel: tests mostly wait, for a call of minutes or a starting machine. Machines start one after
# another. Files in no list run in the last group; the summary shows the duration of each: to balance, move a folder
# from the longest to the shortest. The desk's group uses requirements.lock, all others the versions of the image.
# Calls, machines and cables run in real time; pure computation has a lower priority, which needs no privilege.
all_pytests() {
  local file name i line pid pids=() status=0 ram behind=(nice -n 10)
  local names=(calls machines cables recorder attacks images cards twins desk ingest pages)
  local calls=()
  local machines=(tests/systemd tests/attack/test_rooms.py)
  local cables=(tests/capture tests/bench tests/board tests/broker tests/blockcuts)
  local recorder=(tests/recorder)
  local attacks=(tests/vault)
  local images=(tests/image tests/update tests/provision tests/commission tests/bringup)
  local cards=() twins=()
  local desk=() ingest=() pages=()
  for file in tests/e2e/test_*.py; do
    case $file in
      */test_faketime* | */test_zone_data* | */test_next_boot*) cables+=("$file") ;;
      *) calls+=("$file") ;;
    esac
  done
  for file in tests/hardware/test_*.py; do
    case $file in
      */test_card_twin* | */test_meter* | */test_mistakes* | */test_mutations* | */test_*_kicad*) twins+=("$file") ;;
      *) cards+=("$file") ;;
    esac
  done
  for file in tests/attack/test_*.py; do
    [[ $file = */test_rooms.py ]] || attacks+=("$file")
  done
  for file in tests/desk/test_*.py; do
    case $file in
      */test_ingest* | */test_copy* | */test_bundle* | */test_serve_release* | */test_serve_openapi*) ingest+=("$file") ;;
      */test_serve* | */test_watch*) pages+=("$file") ;;
      *) desk+=("$file") ;;
    esac
  done
  mkdir -p build
  ram=$(scratch)
  trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$ram"; exit 130' INT TERM
  local -x LINETAP_FIRST_PASS=$PWD/build/first-pass # a test that was held up is repeated after all others (held_up.py)
  for name in "${names[@]}"; do
    local -n part=$name
    local modules=$PWD/build/shipped turn=("${behind[@]}")
    case $name in desk | ingest | pages) modules= ;; esac
    case $name in calls | machines | cables) turn=() ;; images | cards | twins) ;; *) [ -z "$ram" ] || turn+=(env "TMPDIR=$ram") ;; esac
    PYTHONPATH=$modules "${turn[@]}" "$BIN/pytest" "${part[@]}" >"build/$name.log" 2>&1 </dev/null &
    pids+=($!)
  done
  local elsewhere=("${calls[@]}" "${machines[@]}" "${cables[@]}" "${recorder[@]}" "${attacks[@]}" "${images[@]}" tests/hardware tests/desk)
  PYTHONPATH=$PWD/build/shipped "${behind[@]}" "$BIN/pytest" tests "${elsewhere[@]/#/--ignore=}" 2>&1 </dev/null |
    tee build/rest.log || status=$?
  for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
  trap - INT TERM
  [ -z "$ram" ] || rm -rf "$ram"
  for i in "${!names[@]}"; do cat "build/${names[i]}.log"; done
  for name in "${names[@]}" rest; do
    SUMMARY+=("$(printf '  %-10s %s' "$name" "$(tail -n 1 "build/$name.log" | tr -d =)")")
  done
  # Lists failed tests, and those that passed only when repeated, at the end of the log, for all groups.
  for name in "${names[@]}" rest; do
    while read -r line; do SUMMARY+=("$line"); done < <(grep -E '^((FAILED|ERROR) tests/|HELD UP )' "build/$name.log")
  done
  return "$status"
}

# Pure computation, which detects a fault soonest: no cable or browser, and no file that starts a broker or a guest.
readonly QUICK_ONE=(tests/signals tests/checks tests/panel tests/durable tests/evidence)
readonly QUICK_TWO=(tests/commission tests/provision tests/update tests/image tests/repository tests/core tests/config tests/clock tests/notices)
quick_pytests() {
  local ram other status=0 waiting
  mapfile -t waiting < <(grep -rlE '^from (broker|guest) import' tests)
  waiting+=(tests/update/test_signed_cuts.py) # a cut at every step: three quarters of a minute
  mkdir -p build
  ram=$(scratch)
  if [ -n "$ram" ]; then
    chmod 711 "$ram" # some tests run as another user
    local -x TMPDIR=$ram
  fi
  local -x PYTHONPATH=$PWD/build/shipped
  "$BIN/pytest" -q "${QUICK_ONE[@]}" "${waiting[@]/#/--ignore=}" >build/quick.log 2>&1 </dev/null &
  other=$!
  trap 'kill "$other" 2>/dev/null || true; rm -rf "$ram"; exit 130' INT TERM
  "$BIN/pytest" -q "${QUICK_TWO[@]}" "${waiting[@]/#/--ignore=}" </dev/null || status=$?
  wait "$other" || status=$?
  trap - INT TERM
  [ -z "$ram" ] || rm -rf "$ram"
  cat build/quick.log
  return "$status"
}

# A skipped test proves nothing. Only reasons that no package can cure are accepted: a kernel's module, a mount, being
# root.
readonly CURELESS='gpio-sim|namespace|loop device|mount|in RAM|root|overlayfs|block device'
readonly ELSEWHERE="(rpi-eeprom(-digest)?|the signed example|Raspberry Pi's trees|ST's description) (is|are) not fetched" # published, but in no archive of packages
skipped() {
  local curable
  curable=$(cat build/{calls,machines,cables,recorder,attacks,images,cards,twins,desk,ingest,pages,rest}.log | grep '^SKIPPED' | grep -Ev "^SKIPPED [^ ]+ [^ ]+ .*($CURELESS|$ELSEWHERE)") ||
    return 0
  printf '%s\n' "$curable"
  return 1
}

# Runs beside the tests, each with its own processor.
typed() {
  wait "$1" || { cat build/mypy.log && return 1; }
  tail -n 1 build/mypy.log
}

summary() {
  say "---"
  printf '%s\n' "${SUMMARY[@]}"
  [ "${#FAILED[@]}" -eq 0 ] || fail "failed: ${FAILED[*]}"
}

run_tests() {
  local scripts types
  mapfile -t scripts < <(
    find . -path ./build -prune -o -path ./.venv -prune -o -name '*.sh' -print
    grep -lsE '^(#!.*sh|# shellcheck shell)' image/root/usr/lib/linetap/* # the image's own scripts, which have no suffix
  )
  check ruff "$BIN/ruff" check --no-cache . # a cache does not notice moved files
  check format "$BIN/ruff" format --no-cache --check .
  if [ "$*" = --quick ]; then
    check pytest quick_pytests
    summary
    return
  fi
  mkdir -p build
  nice -n 10 "$BIN/mypy" >build/mypy.log 2>&1 &
  types=$!
  check shellcheck shellcheck "${scripts[@]}" .ci/run
  if [ "$#" -gt 0 ]; then
    check pytest "$BIN/pytest" "$@"
  else
    check pytest all_pytests
    check skipped skipped
  fi
  check mypy typed "$types"
  summary
}

# The machine is slow, and runs one test at a time, without a time limit of our own.
run_hil() {
  local some=(-m hil)
  case ${1:-} in
    '') ;;
    --quick) some=(-m "hil and quick") ;;
    *) bad_usage "hil [--quick]: $1 is neither" ;;
  esac
  if [ -e build/image/linetap.img ]; then image/sources.sh build/image || exit 1; else make_image; fi
  [ -n "${1:-}" ] || fetch_trees # the emulated Pi 3 of the clock chip's test starts with its kernel's own tree
  # Two parallel runs, each of which needs one processor, share one list of tests, the longest first. Both continue from
  # one kept machine, whose broker has a fixed port: therefore the second run has its own loopback. If that is
  # impossible it makes its own kept machine.
  HIL_SHARED=$(mktemp -d)
  mkdir "$HIL_SHARED/taken"
  local apart=(unshare --net) shared=(--shared "$HIL_SHARED") failed=0 began=$SECONDS
  [ "$(id -u)" -eq 0 ] || apart+=(--map-root-user)
  # shellcheck disable=SC2016 # arguments of the inner shell
  apart+=(bash -c 'ip link set lo up && exec "$@"' apart)
  "${apart[@]}" true 2>/dev/null || apart=() shared=()
  local run=(env PYTHONPATH=tests/hil "$BIN/pytest" "${some[@]}" -p hil_table --timeout=1500 --taken "$HIL_SHARED/taken" tests/hil)
  "${apart[@]}" "${run[@]}" "${shared[@]}" >build/hil-second.log 2>&1 &
  HIL_SECOND=$!
  trap 'kill "$HIL_SECOND" 2>/dev/null || :; wait "$HIL_SECOND" || :; rm -rf "$HIL_SHARED"' EXIT
  "${run[@]}" --shared "$HIL_SHARED" || failed=1
  wait "$HIL_SECOND" || failed=1
  cat build/hil-second.log
  say "hil: $((SECONDS - began)) s with ${1:-all}; the limits are 360 s for --quick and 1500 s for all, on two idle processors"
  return "$failed"
}

# Both boards, or the named one, and the drawing's rails, corners, rules, wrong cards and single faults: one line each
# here, the details in build/board/.
make_boards() {
  local status=0 each words
  mkdir -p build/board
  "$BIN/python" tools/board.py "$@" || status=$?
  for each in hardware_budget hardware_numbers card_rules "card_rules --mistakes" "card_rules --faults" \
    "card_rules --card-faults"; do
    read -ra words <<<"$each"
    "$BIN/python" "tools/${words[0]}.py" "${words[@]:1}" >"build/board/${each// --/-}.txt" 2>&1 || status=$?
    tail -n 1 "build/board/${each// --/-}.txt"
  done
  return "$status"
}

# Program, loader and signed file of the line meter. Without a key it makes a new one, which no meter in use trusts.
build_meter() {
  local key=$1
  mkdir -p build/meter
  if [ -z "$key" ]; then
    key=build/meter/try.key
    [ -e "$key" ] || "$BIN/linetap" keygen unit -o "$key" >build/meter/try.pub
  fi
  ssh-keygen -y -f "$key" >build/meter/maker.pub || fail "$key: no private key of OpenSSH"
  "$BIN/python" hardware/meterbuild.py part build/meter/meter.elf
  "$BIN/python" hardware/meterbuild.py loader build/meter/loader.elf --key build/meter/maker.pub
  "$BIN/python" hardware/metersign.py build/meter/meter.elf --key "$key" -o build/meter/meter.dfu
}

# The second build has another path and umask, and runs during the installation of the first build's packages.
try_packages() {
  local twin=build/deb-twin second failed=0
  lintian --fail-on error --suppress-tags no-manual-page build/deb/*.deb 2>/dev/null || fail "lintian names errors"
  (umask 077 && LINETAP_DEB=$twin nice firmware/debian/build.sh) >build/deb-twin.log 2>&1 &
  second=$!
  trap 'kill "$second" 2>/dev/null || true; exit 130' INT TERM
  "$BIN/pytest" -m deb tests/deb || failed=1
  wait "$second" || { cat build/deb-twin.log && failed=1; }
  trap - INT TERM
  if [ "$failed" -eq 0 ]; then
    diff build/deb/SHA256SUMS "$twin/SHA256SUMS" || fail "a second build of the same commit has other bytes"
    say "deb: a second build gives the same bytes"
  fi
  rm -rf "$twin"
  return "$failed"
}

command=${1:-help}
[ "$#" -eq 0 ] || shift
case $command in
  setup) setup ;;
  demo)
    setup
    exec "$BIN/python" -m linetap_bench.demo "$@"
    ;;
  test)
    setup
    [ "$#" -gt 0 ] || fetch_foreign
    run_tests "$@"
    ;;
  bench)
    setup
    if [ "${1:-}" = day ]; then exec "$BIN/python" -m linetap_bench.day "${@:2}"; fi
    if [[ " $* " == *" cluster "* ]]; then install_packages "${CLUSTER_PACKAGES[@]}"; fi
    exec "$BIN/python" -m linetap_bench.measure "$@"
    ;;
  soak)
    minutes=${1:-60}
    [[ $minutes =~ ^[1-9][0-9]*$ ]] || bad_usage "soak [MINUTES]: $minutes is no number of minutes"
    setup
    if [[ $(uname -m) == x86_64 ]]; then # atheris has wheels only for it; without atheris the fuzzing is not guided by coverage
      "$BIN/pip" --quiet --disable-pip-version-check install --require-hashes --no-deps -r tests/fuzz/requirements.txt ||
        fail "pip could not install tests/fuzz/requirements.txt"
    fi
    LINETAP_SOAK_MINUTES=$minutes exec "$BIN/pytest" -m soak -s --timeout="$((minutes * 60 + 600))" # -s: shows their tables
    ;;
  image)
    lock='' signed=() published=''
    while [ "$#" -gt 0 ]; do
      case $1 in
        --lock)
          lock=$(realpath -e "${2:?--lock FILE: no file is named}") || bad_usage "image --lock FILE: there is no $2"
          shift
          ;;
        --signed) signed=(--signed) ;;
        --confirm)
          published=$(realpath -e "${2:?--confirm FOLDER: no folder is named}") || bad_usage "image --confirm FOLDER: there is no $2"
          [ "$#$lock${signed[*]}" = 2 ] || bad_usage "image --confirm FOLDER: no other option goes with it"
          shift
          ;;
        *) bad_usage "image [--lock FILE] [--signed] [--confirm FOLDER]: $1 is none of them" ;;
      esac
      shift
    done
    setup
    install_packages "${IMAGE_PACKAGES[@]}"
    [ -z "$lock" ] || export LINETAP_LOCK=$lock
    if [ "$published" ]; then with_settings image/confirm.sh "$published"; else make_image "${signed[@]}"; fi
    ;;
  hil)
    setup
    install_packages "${IMAGE_PACKAGES[@]}" "${HIL_PACKAGES[@]}"
    run_hil "$@"
    ;;
  board)
    setup
    install_packages kicad ngspice
    fetch_gerbonara
    make_boards "$@"
    ;;
  meter)
    setup
    install_packages gcc-arm-none-eabi
    fetch_monocypher
    build_meter "${1:-}"
    ;;
  deb)
    case ${1:-} in '' | --try) ;; *) bad_usage "deb [--try]: $1 is not it" ;; esac
    setup
    install_packages "${DEB_PACKAGES[@]}"
    firmware/debian/build.sh
    if [ "${1:-}" = --try ]; then
      install_packages "${DEB_TRY_PACKAGES[@]}"
      try_packages
    fi
    ;;
  help | -h | --help) usage ;;
  *)
    usage >&2
    bad_usage "there is no command $command"
    ;;
esac
