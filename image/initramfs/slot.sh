# shellcheck shell=busybox disable=SC2013,SC2154,SC2034 # words are wanted; variables of init
# SPDX-License-Identifier: Apache-2.0
# Finds the slot for which a signed boot.img was started: it is the same for both, and its command line names none
# (usr/lib/linetap/autoboot).
readonly PROC=${PROC:-/proc}

# The partition, by the firmware: "The partition number used during boot. If a boot.img ramdisk is loaded then this
# refers to partition that the ramdisk was loaded from" (Raspberry Pi, configuration/device-tree.adoc,
# /chosen/bootloader). Without such firmware the command line states it.
started_partition() {
  local file=$PROC/device-tree/chosen/bootloader/partition word
  if [ -e "$file" ]; then
    echo $((0x$(xxd -p "$file")))
    return
  fi
  for word in $(cat "$PROC/cmdline"); do
    case $word in linetap.partition=*) echo "${word#*=}" ;; esac
  done
}

# Sets slot. Boot loaders of a Pi 5 before 2024-05-13 report 0 (rpi-eeprom, release notes; #575): then it is the slot
# with the root of the command line, and if both have it, that of autoboot.txt.
find_slot() {
  local first=a second=b
  slot=$(slot_of_partition "$(started_partition)") && return
  with_boot && [ "$(autoboot_slot "$BOOT")" = b ] && first=b second=a
  without_boot
  slot=$first
  holds $first || ! holds $second || slot=$second
}

# Whether the first block of a slot's root matches the hash on the command line.
holds() {
  local part device status
  part=$(device_of "$1") && device=$(map linetap-try "$part" "$verity") || return 1
  dd if="$device" of=/dev/null bs=4096 count=1 2>/dev/null
  status=$?
  unmap linetap-try
  return $status
}
