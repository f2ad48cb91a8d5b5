# shellcheck shell=busybox disable=SC2154,SC3045 # variables of init; busybox reads with -t
# SPDX-License-Identifier: Apache-2.0
# The machine's watchdog from the first module to systemd: a start that hangs is reset, and so counted as failed
# (heal.sh). A background process feeds the device for the time allowed for the present step. The start announces steps
# through a pipe that both processes hold open for reading and writing, so that neither ever blocks. A hanging kernel
# feeds nothing; the watchdog before the kernel is the firmware's: config.txt.
readonly WATCHDOG=${WATCHDOG:-/dev/watchdog0} FEED=${FEED:-/feed} CMDLINE=${CMDLINE:-/proc/cmdline} SYSRQ=${SYSRQ:-/proc/sysrq-trigger}
readonly STEP_S=120 # for a step without its own limit: many times its duration on a worn card
feeder=

# watch: begins. Not if systemd's watchdog is disabled as well, as for an emulated Pi (docs/boards.md).
watch() {
  ! grep -qw 'systemd.watchdog_sec=0' "$CMDLINE" && mkfifo "$FEED" || return 0
  exec 3<>"$FEED"
  rm -f "$FEED"
  feed "$STEP_S" &
  feeder=$!
}

# within SECONDS STEP: the next step may take this long.
within() { [ -z "$feeder" ] || echo "$*" >&3; }

# Hands the device to systemd, which opens it within the running time-out: closing it without a V, the kernel's sign of
# an orderly end, does not stop it.
unwatch() {
  [ "$feeder" ] || return 0
  echo end >&3
  wait "$feeder"
  exec 3>&-
  feeder=
}

# Reads the pipe for a second, in this shell: a child could hold the device open for longer.
feed() {
  local left=$1 most=$1 step="the start" opened='' word text
  while [ "$left" -gt 0 ]; do
    if [ "$opened" ]; then
      echo . >&4
    elif [ -c "$WATCHDOG" ]; then
      { command exec 4>"$WATCHDOG" && opened=1; } 2>/dev/null
    fi
    if read -r -t 1 word text <&3; then
      [ "$word" != end ] || return 0
      left=$word most=$word step=$text
    else
      left=$((left - 1))
    fi
  done
  say "slot ${slot:-?}: $step takes longer than $most s: the watchdog is not fed any more"
  [ "$opened" ] || echo c >"$SYSRQ" # without a watchdog the machine ends by a panic
}
