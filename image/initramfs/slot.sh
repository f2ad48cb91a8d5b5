# shellcheck shell=busybox disable=SC2013,SC2154,SC2034 # words are wanted; variables of init
# SPDX-License-Identifier: Apache-2.0
# Which slot a signed boot.img was started for: both have the same one, and its command line names none (usr/lib/linetap/autoboot).
readonly PROC=${PROC:-/proc}

# The firmware says it: "The partition number used during boot. If a boot.img ramdisk is loaded then this refers to partition
# that the ramdisk was loaded from" (Raspberry Pi, configuration/device-tree.adoc, /chosen/bootloader). For a machine without
# such firmware whoever starts it says so on the command line.
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

# Sets slot. Boot loaders of a Pi 5 before 2024-05-13 say 0 (rpi-eeprom, release notes; #575): then it is the slot that holds the
# root of the command line, and of two that do the one that autoboot.txt names.
find_slot() {
  local first=a second=b
  slot=$(slot_of_partition "$(started_partition)") && return
  with_boot && [ "$(autoboot_slot "$BOOT")" = b ] && first=b second=a
  without_boot
  slot=$first
  holds $first || ! holds $second || slot=$second
}

# Whether the first block of a slot's root is the one that the hash on the command line covers.
holds() {
  local part device status
  part=$(device_of "$1") && device=$(map linetap-try "$part" "$verity") || return 1
  dd if="$device" of=/dev/null bs=4096 count=1 2>/dev/null
  status=$?
  unmap linetap-try
  return $status
}
