#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The exchange on the lines of the unit, with the script calls.toml. It says in a file beside this one when it is ready.
# usage: lines.sh FILL_MS
set -eu
cd /run/hil
own() {
  unit=$1
  shift
  systemd-run --quiet --collect --unit="$unit" -p StandardOutput="truncate:/run/hil/$unit.said" \
    --setenv=PYTHONPATH=/run/hil/python --setenv=OPENBLAS_NUM_THREADS=1 "$@"
}
sed 's/kind = "hardware"/kind = "simulated"/' /etc/linetap/unit.toml >bench.toml
systemctl stop exchange 2>/dev/null || :
rm -f exchange.said
own exchange -p Nice=-5 /usr/bin/python3 -m linetap_bench.exchange.command --config /run/hil/bench.toml --script /run/hil/calls.toml \
  --wait-services 90 --voices /run/hil/voices --fill-ms "$1" --period-ms 40 --stalled-ms 20000 \
  --playback-pcm hw:linetap1,1,0 --capture-pcm hw:linetap1,1,0
