# shellcheck shell=busybox disable=SC2013 # words are wanted
# SPDX-License-Identifier: Apache-2.0
# Finds the unit's disk: the kernel names partitions as in the table, and of two cards with equal names the disk is that
# of the slot. udev, which makes links, does not run yet; later it makes none to the other card.
readonly SYS=${SYS:-/sys} WAIT=300 USB_WAIT=30 REST_WAIT=20 # tenths of a second
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

# While the disk is unknown, one in a USB socket is used only if no other has appeared within USB_WAIT: a card reader,
# or the disk from which the unit starts.
named() {
  local each path plugged=
  for each in $(grep -lx "PARTNAME=linetap-$1" "$SYS"/class/block/*/uevent 2>/dev/null); do
    path=$(readlink -f "${each%/uevent}")
    if [ "$disk" ]; then
      [ "${path%/*}" = "$disk" ] || continue
    else
      case $path in */usb[0-9]*) plugged=${plugged:-$path} && continue ;; esac
    fi
    echo "$path"
    return
  done
  [ "$2" -lt $USB_WAIT ] || echo "$plugged"
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
