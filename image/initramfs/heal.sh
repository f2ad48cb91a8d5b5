# shellcheck shell=busybox disable=SC2154,SC2034,SC2013 # variables of init and marks
# SPDX-License-Identifier: Apache-2.0
# Counts starts in the slot (usr/lib/linetap/marks); repairs a failing slot from the other one, or changes to it. A
# version on trial is not left here: the next start leads back from it in any case (usr/lib/linetap/slots).
readonly MOST_FALLS=3 MOST_TRIES=9 # nine power cuts in the first minute may be the slot's fault too
readonly RESET_BY_POWER=4096       # PM_RSTS: power-on reset only
readonly PI_4B=17 SWITCHES_CARD=4  # type and revision, in the board's revision code
readonly KEEPS_POWER_S=1728518400  # 2024-10-10, a boot loader's build
readonly TREE=${TREE:-/proc/device-tree}
MOST_BAD=64                        # blocks that a start repairs, in seconds each: with more the other slot starts

# Whether the start was a power-on, by the firmware: documented as chosen/bootloader/pm_rsts, big-endian. Without such
# firmware the command line states it.
by_power() {
  grep -qw linetap.reset=power /proc/cmdline && return 0
  [ "$(number_of chosen/bootloader/pm_rsts)" -eq $RESET_BY_POWER ] && keeps_cause
}

# A card at 1.8 V must lose its power before a Pi 4 can read it again. A board before revision 1.4 has no switch for that,
# and a boot loader before 2024-10-10 does not use it ("always forcing a global reset": rpi-eeprom, release notes of that
# day): they switch off the whole board, and a start after a panic is a power-on by the firmware, too
# (raspberrypi/linux#4527: PM_RSTS 0x20, "uSD voltage 1.8V", "GLOBAL_RESET", PM_RSTS 0x1000). The switch of a CM4's card
# is its carrier's, and that of a Pi 400 was not found in any document.
keeps_cause() {
  local revision
  tr '\000' '\n' <"$TREE/compatible" 2>/dev/null | grep -qx brcm,bcm2711 || return 0
  revision=$(number_of system/linux,revision)
  [ $((revision >> 4 & 0xff)) -eq $PI_4B ] && [ $((revision & 0xf)) -ge $SWITCHES_CARD ] &&
    [ "$(number_of chosen/bootloader/build-timestamp)" -ge $KEEPS_POWER_S ]
}

# A number of the tree, big-endian; 0 if it is missing.
number_of() {
  local hex
  hex=$(xxd -p "$TREE/$1" 2>/dev/null)
  echo $((0x${hex:-0}))
}

# begin: counts this start before the root is opened. unclean=1: the last run ended by itself, without a shutdown.
begin() {
  unclean=0
  mark_read "$root" "$hash"
  if [ "$mark_clean" = 1 ]; then
    mark_tries=0 mark_falls=0
  elif [ $((mark_good + mark_tries)) -gt 0 ] && ! by_power; then
    unclean=1
    [ "$mark_tries" -eq 0 ] || mark_falls=$((mark_falls + 1))
  fi
  mark_tries=$((mark_tries + 1)) mark_clean=0 try=$mark_tries
  mark_write "$root" "$hash" || say "slot $slot: its starts cannot be counted"
}

# Leaves a slot whose starts fail. If all ended by loss of power, only for the same root in the other slot: repeated
# switching off and on must not install an older version.
leave_what_fails() {
  if [ "$mark_falls" -lt "$MOST_FALLS" ]; then
    [ "$mark_tries" -gt "$MOST_TRIES" ] || return 0
    if by_power && ! { other_slot && [ "$other_verity" = "$verity" ]; }; then without_boot; return 0; fi
  fi
  leave_slot 4 "여러 번 시작했지만 정상이 되지 않았습니다." "it was started several times and never got well."
  without_boot
}

# Reads the root to its end after an unclean run; bad blocks are repaired, or recorded.
check_root() {
  [ "$unclean" = 1 ] || [ "$mark_bad" -gt 0 ] || return 0
  within 600 "reading the root"
  if whole "$root" "$verity"; then
    [ "$mark_bad" -eq 0 ] || { mark_bad=0; mark_write "$root" "$hash"; }
    return 0
  fi
  say "slot $slot: blocks of its root cannot be read"
  if mend_root; then return 0; fi
  mark_bad=1
  mark_write "$root" "$hash"
  leave_slot 3 "카드에 있는 시스템이 손상되었습니다." "the system on the card is damaged."
  next="this slot as it is"
  note "카드에 있는 시스템이 손상되었습니다." "the system on the card is damaged."
  without_boot
}

# Tests the mount before dm-verity is set to panic, which would leave no message on the card.
opens() {
  local device status
  device=$(map linetap-try "$root" "$verity") || return 1
  mount -t squashfs -o ro,nodev,nosuid "$device" /new 2>/dev/null && [ -x /new/usr/lib/systemd/systemd ]
  status=$?
  umount /new 2>/dev/null
  unmap linetap-try
  return $status
}

# An unknown bad block causes one panic, and the next start looks for it. A known block that cannot be repaired gives a
# read error only, and the rest continues. Kernels before about 6.13 lack the second option.
open_root() {
  if [ "$mark_bad" -eq 0 ]; then
    map linetap "$root" "$verity" panic_on_corruption panic_on_error && return
    map linetap "$root" "$verity" panic_on_corruption && return
  fi
  map linetap "$root" "$verity"
}

mend_root() {
  local twin count
  other_slot && [ "$other_verity" = "$verity" ] || return 1
  twin=$(device_of "$other") || return 1
  next="this slot, repaired" minutes=60 # warns against pulling a card during a write
  note "손상된 부분을 다른 슬롯의 같은 시스템으로 복구하고 있습니다." "what is damaged is being written again from the other slot." || :
  minutes=10
  within 3600 "repairing the root"
  count=$(mend "$root" "$twin" "$verity") || return 1
  say "slot $slot: $count blocks were written again from slot $other"
  mark_bad=0 mark_mended=$((mark_mended + count))
  mark_write "$root" "$hash"
  without_boot
}

# Sets other and other_verity. Fails if the other slot is invalid: empty, or being written.
other_slot() {
  case $slot in a) other=b ;; *) other=a ;; esac
  other_verity=
  with_boot && [ -s "$BOOT/$other/config.txt" ] || return 1
  [ "$signed" = 1 ] || { [ -s "$BOOT/$other/vmlinuz" ] && [ -s "$BOOT/$other/initramfs" ]; } || return 1
  other_verity=$(verity_in "$BOOT/$other/cmdline.txt")
}

# Whether the running slot is not the default one: that of autoboot.txt on a signed card (usr/lib/linetap/autoboot),
# otherwise of config.txt.
on_trial() {
  with_boot || return 1
  if [ "$signed" = 1 ]; then
    [ "$(autoboot_slot "$BOOT" || echo "$slot")" != "$slot" ]
  else
    [ "$(slot_of_config "$BOOT/config.txt")" != "$slot" ]
  fi
}

# On a signed card: whether the other slot's boot.img is intact.
other_starts() {
  local device
  [ "$signed" = 1 ] || return 0
  device=$(device_of "boot-$other") && with_boot && bootpart_whole "$device" "$BOOT/$other/boot.sum"
}

# leave_slot CODE KO EN: restarts in the other slot. Returns if that is invalid, was never good as another root, is not
# intact, or cannot be selected: with an unwritable boot partition it would restart forever.
leave_slot() {
  local there rest rounds=$mark_rounds
  if on_trial; then return 1; fi
  other_slot && there=$(device_of "$other") || return 1
  rest=${other_verity#*:}
  within 600 "reading the root of slot $other"
  mark_read "$there" "${rest%%:*}"
  if [ "$mark_good" != 1 ] && [ "$other_verity" != "$verity" ]; then
    say "slot $other was never good: it is not tried"
  elif ! whole "$there" "$other_verity" || ! other_starts; then
    say "slot $other is not whole either"
  elif ! choose_other; then
    say "slot $other cannot be chosen: the boot partition keeps no change"
  else
    next="slot $other"
    note "$2" "$3"
    mark_tries=0 mark_falls=0 mark_rounds=$((rounds + 1))
    mark_write "$there" "${rest%%:*}"
    without_boot
    say "slot $slot: $3 Slot $other is next"
    blink "$1" "$(pause $((3 * rounds)))"
    reboot -f
    sleep 60
  fi
  mark_read "$root" "$hash"
  return 1
}

# Selects the other slot by config.txt or autoboot.txt. The partition is mounted again before it is read back: some
# cards acknowledge every write, and keep none.
choose_other() {
  if [ "$signed" = 1 ]; then
    autoboot_write "$BOOT" "$other" 2>/dev/null
    without_boot
    with_boot && [ "$(autoboot_slot "$BOOT")" = "$other" ]
    return
  fi
  copy_config "$BOOT" "$other" config.txt 2>/dev/null
  without_boot
  with_boot && [ "$(slot_of_config "$BOOT/config.txt")" = "$other" ] && cmp -s "$BOOT/$other/config.txt" "$BOOT/config.txt"
}

# Seconds: from the fourth failure in a row one minute, then longer, at most ten.
pause() { echo $(($1 < 3 ? 5 : $1 < 12 ? ($1 - 2) * 60 : 600)); }

# die CODE KO EN: ends this start visibly; the kernel restarts the machine after a panic.
die() {
  say "slot $slot: $3"
  if [ "$root" ] && [ "${mark_falls:-0}" -ge $((MOST_FALLS - 1)) ]; then leave_slot "$@"; fi
  if on_trial; then next="the version before"; else next="this slot again"; fi
  note "$2" "$3"
  without_boot
  blink "$1" "$(pause $((${mark_tries:-1} - 1 + 3 * ${mark_rounds:-0})))"
  exit 1 # of process 1: the kernel panics
}
