# shellcheck shell=busybox disable=SC2013 # words are wanted
# SPDX-License-Identifier: Apache-2.0
# The unit's disk: the kernel names a partition as the table does, and of two cards with the same names it is the one that the
# slot was found on. udev, which would make links, is not here yet; later it makes none to the other card.
readonly SYS=${SYS:-/sys} WAIT=300 USB_WAIT=30 REST_WAIT=20 # tenths of a second
disk=                                                       # /sys/devices/..., once the slot is found

# device_of NAME: /dev/... of linetap-NAME. The kernel reads a table at once: what its disk has not soon is not on it.
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

# While no disk is known, one in a USB socket is taken only where nothing else has come in USB_WAIT: a card reader, or what
# the unit starts from.
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

# The links below /dev/disk, by which the running unit finds its partitions, lead to this disk alone, whatever comes later.
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
