# shellcheck shell=busybox disable=SC2154,SC3045 # variables of init; busybox reads with -t
# SPDX-License-Identifier: Apache-2.0
# The machine's watchdog from the first module to systemd: a start that hangs is reset, and so counts as one that failed
# (heal.sh). The device is fed in the background, for as long as the start has said that its present step may take. What
# it says goes through a pipe that both hold open for reading and writing, so that neither ever waits for the other.
# A kernel that hangs feeds nothing; where the firmware has the watchdog run before the kernel: config.txt.
readonly WATCHDOG=${WATCHDOG:-/dev/watchdog0} FEED=${FEED:-/feed} CMDLINE=${CMDLINE:-/proc/cmdline} SYSRQ=${SYSRQ:-/proc/sysrq-trigger}
readonly STEP_S=120 # for a step that says nothing else: many times what it takes on a worn card
feeder=

# watch: from here on. Not where systemd's is switched off as well, as an emulated Pi needs it (docs/boards.md).
watch() {
  ! grep -qw 'systemd.watchdog_sec=0' "$CMDLINE" && mkfifo "$FEED" || return 0
  exec 3<>"$FEED"
  rm -f "$FEED"
  feed "$STEP_S" &
  feeder=$!
}

# within SECONDS STEP: from now on, what happens may take so long.
within() { [ -z "$feeder" ] || echo "$*" >&3; }

# The device is systemd's from here on, which opens it within the time that it counts by itself: without a V, the
# kernel's word for an end in good order, closing it does not stop it.
unwatch() {
  [ "$feeder" ] || return 0
  echo end >&3
  wait "$feeder"
  exec 3>&-
  feeder=
}

# The pipe is read for a second, in this shell: no child that could hold the device open for longer.
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
  [ "$opened" ] || echo c >"$SYSRQ" # a machine without one ends by a panic
}
