# shellcheck shell=busybox disable=SC2013 # words are wanted
# SPDX-License-Identifier: Apache-2.0
# Finds the unit's disk: the kernel names partitions as in the table, and of two cards with equal names the disk is that
# of the slot. udev, which makes links, does not run yet; later it makes none to the other card.
readonly SYS=${SYS:-/sys} WAIT=300 OTHER_WAIT=30 REST_WAIT=20 # tenths of a second
disk=                                                       # /sys/devices/..., once the slot is found

# device_of NAME: /dev/... of linetap-NAME. The kernel reads a table at once: a partition that does not appear soon is
# missing.
device_of() {
  local tries=0 most=$WAIT found
  [ -z "$disk" ] || most=$REST_WAIT
  while [ $tries -lt "$most" ]; do
    found=$(named "$1" $tries)
    if [ "$found" ]; then
      echo "/dev/${found##*/}"
      return 0
    fi
    tries=$((tries + 1))
    sleep 0.1
  done
  return 1
}

# The kind of disk that the firmware has started from: chosen/bootloader/boot-mode (Raspberry Pi,
# configuration/device-tree.adoc), whose values are those of BOOT_ORDER. Nothing for others, and without such firmware.
started_from() {
  case $(xxd -p "${TREE:-/proc/device-tree}/chosen/bootloader/boot-mode" 2>/dev/null) in
    00000001) echo card ;;
    00000004 | 00000005) echo usb ;;
    00000006) echo nvme ;;
  esac
}

# While the disk is unknown, one of another kind than the firmware started from is used only if none of this kind has
# appeared within OTHER_WAIT, and one in a USB socket only if it is the only one: a card reader, or, under a firmware that
# says nothing, the disk from which the unit starts.
named() {
  local each path kind from='' other='' plugged=''
  [ "$disk" ] || from=$(started_from)
  for each in $(grep -lx "PARTNAME=linetap-$1" "$SYS"/class/block/*/uevent 2>/dev/null); do
    path=$(readlink -f "${each%/uevent}")
    case $path in
      */usb[0-9]*) kind=usb ;;
      */nvme/*) kind=nvme ;;
      *) kind=card ;;
    esac
    if [ "$disk" ]; then
      [ "${path%/*}" = "$disk" ] || continue
    elif [ "${from:-$kind}" != "$kind" ] || [ "$from$kind" = usb ]; then
      if [ $kind = usb ]; then plugged=${plugged:-$path}; else other=${other:-$path}; fi
      continue
    fi
    echo "$path"
    return
  done
  [ "$2" -lt $OTHER_WAIT ] || echo "${other:-$plugged}"
}

# keep_to_disk_of DEVICE
keep_to_disk_of() {
  disk=$(readlink -f "$SYS/class/block/${1##*/}")
  disk=${disk%/*}
}

# Restricts the links below /dev/disk, by which the running unit finds its partitions, to this disk, even if others are
# plugged in later.
tell_udev() {
  mkdir -p "$1"
  cat >"$1/59-linetap-disk.rules" <<END
SUBSYSTEM!="block", GOTO="linetap_disk_end"
ENV{PARTNAME}!="linetap-?*", GOTO="linetap_disk_end"
KERNELS=="${disk##*/}", GOTO="linetap_disk_end"
ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}="1"
LABEL="linetap_disk_end"
END
}
