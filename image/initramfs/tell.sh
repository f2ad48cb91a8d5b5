# shellcheck shell=busybox disable=SC2154 # variables of init
# SPDX-License-Identifier: Apache-2.0
# Reports a failed start before any service runs: in the kernel's log, on the boot partition as linetap-boot.txt, and by
# the board's own LEDs (docs/closet.md). $slot, $try and $next are those of the reporting start.
readonly BOOT=${BOOT:-/boot}
readonly NOTE=$BOOT/linetap-boot.txt NOTE_BYTES=4096 # fixed size: overwritten in place (usr/lib/linetap/bootfiles)
readonly STEP_BYTES=120                              # of an earlier step: a longer line would leave no room for the new one

minutes=10 # replaces RUN in the note: minutes that a person should wait

say() { echo "<4>linetap: $*" >/dev/kmsg; }

# Mounts the boot partition, if possible; nothing else writes to it here.
with_boot() {
  grep -q " $BOOT vfat " /proc/mounts && return 0
  mkdir -p "$BOOT"
  local device
  device=$(device_of boot) && mount -t vfat -o rw,noatime,nosuid,nodev,noexec,umask=0077 "$device" "$BOOT"
}

without_boot() {
  sync
  umount "$BOOT" 2>/dev/null
}

# The fault, the next step and the remedy, in two languages; below them the last steps, one a line.
note() {
  local step="- $slot/$try: $2 -> $next"
  with_boot || return 1
  {
    printf 'linetap\n\n슬롯 %s, %s번째 시작: %s\n다음: %s\n%s\n\n' "$slot" "$try" "$1" "$(next_ko)" \
      "할 일: 전원을 켜 두십시오. ${minutes}분이 지나도 녹음 표시등(RUN)이 켜지지 않으면 카드를 새로 만든 것으로 교체하십시오. 쓰던 카드에는 통화가 있으니 지우지 말고 보관하십시오."
    printf 'Slot %s, start %s: %s\nNext: %s\n%s\n\n' "$slot" "$try" "$2" "$next" \
      "To do: leave the power on. If RUN is not lit after $minutes minutes, replace the card by one that is newly made. Keep the old one unerased: calls are on it."
    text_of "$NOTE" | tr -c ' -~\n' '?' | grep '^- ' | cut -c "-$STEP_BYTES" | tail -n 11
    printf '%s\n' "$step"
  } | dd bs=$NOTE_BYTES count=1 iflag=fullblock conv=sync 2>/dev/null | tr '\000' '\n' | overwrite "$NOTE" $NOTE_BYTES
}

next_ko() {
  case $next in
    "slot "?) echo "슬롯 ${next#slot } 시작" ;;
    "this slot again") echo "같은 슬롯을 다시 시작" ;;
    "this slot as it is") echo "손상된 채로 계속" ;;
    "this slot, repaired") echo "복구한 뒤 같은 슬롯으로 계속" ;;
    *) echo "이전 버전으로 복귀" ;;
  esac
}

# For this many seconds: a flutter, then CODE long flashes. No firmware pattern begins with a flutter.
blink() {
  local end n led
  within $(($2 + STEP_S)) "telling by the LEDs"
  end=$(($(cut -d. -f1 /proc/uptime) + $2))
  for led in /sys/class/leds/*/; do echo none >"$led/trigger"; done 2>/dev/null
  while [ "$(cut -d. -f1 /proc/uptime)" -lt $end ]; do
    n=0
    while [ $n -lt 10 ]; do light 0.05 0.05; n=$((n + 1)); done
    sleep 0.8
    n=0
    while [ $n -lt "$1" ]; do light 0.8 0.4; n=$((n + 1)); done
    sleep 0.8
  done
}

light() {
  local led
  for led in /sys/class/leds/*/; do cat "$led/max_brightness" >"$led/brightness"; done 2>/dev/null
  sleep "$1"
  for led in /sys/class/leds/*/; do echo 0 >"$led/brightness"; done 2>/dev/null
  sleep "$2"
}
