# shellcheck shell=busybox disable=SC2154 # variables of init
# SPDX-License-Identifier: Apache-2.0
# Mounts the unit's stored data, from the state partition, over the root. A partition that can be read but not written,
# as on a card at the end of its life, is used read-only: a unit with its key, notices and officers continues to record.
readonly NEW=${NEW:-/new} KEEP=nosuid,nodev,noexec,noatime
readonly REPAIR_S=120 # 64 MiB: a second
readonly TPM_DEVICE=${TPM_DEVICE:-/dev/tpm0}
readonly OTP=${OTP:-/modules/linetap_otp.ko} BOARD_KEY=${BOARD_KEY:-/sys/kernel/linetap_otp/private_key}

asks_to_be_opened() { [ -c "$TPM_DEVICE" ] || [ -e "$BOARD_KEY" ] || [ "$(head -c 4 "$1")" = LUKS ]; }

# The key in the board's fuses can only be read here: its module, which loads only if there is a key, exists in the
# initramfs alone, and is removed before the root is entered.
opened() {
  local status
  insmod "$OTP" 2>/dev/null
  open_card "$1"
  status=$?
  [ ! -e "$BOARD_KEY" ] || rmmod linetap_otp || say "the key of the board stays open: its module cannot be removed"
  return $status
}

# An encrypted card, or one to be encrypted (docs/tpm.md): the root, already verified, opens it with its own cryptsetup
# and kernel modules, before this boot is marked as running. Fails if the state partition is to be mounted unencrypted;
# otherwise state, or its substitute, is mounted.
open_card() {
  local dir status=1
  asks_to_be_opened "$1" || return 1
  for dir in proc sys dev; do mount -o bind /$dir "$NEW/$dir"; done
  mkdir -p /sbin # where the kernel looks for modprobe
  printf '#!/bin/busybox sh\nexec chroot /new /usr/sbin/modprobe "$@"\n' >/sbin/modprobe
  chmod 755 /sbin/modprobe
  echo "refused -" >"$NEW/run/linetap-card" # default until the root's program reports another result
  within 1800 "opening the card"             # a new card is encrypted here
  PATH=/usr/sbin:/usr/bin /bin/chroot "$NEW" /usr/bin/linetap volume start "$1" "$(device_of data)" "$(device_of boot)" \
    >/dev/null 2>/card.said
  status=$?
  within 300 "opening what the unit keeps"
  while read -r line; do say "$line"; done </card.said
  for dir in proc sys dev; do umount "$NEW/$dir"; done
  [ $status -ne 3 ] || return 1
  [ $status -eq 0 ] || lose
}

# Repairs what the kernel has found damaged in an earlier start, in which it then wrote nothing more. Whether it can be
# repaired or not, the mount decides.
repair() {
  mount -o bind /dev "$NEW/dev"
  chroot "$NEW" /usr/bin/timeout "$REPAIR_S" /usr/sbin/e2fsck -p "$1" >/dev/null 2>&1
  [ $? -ne 1 ] || say "the state partition was repaired"
  umount "$NEW/dev"
}

# errors: otherwise the superblock decides, which belongs to whoever had the card, and could ask for a panic.
# noload: the journal is not replayed; ext4 would otherwise have to write it into the file system first.
mount_state() {
  local device
  device=$(device_of state) || return 1
  opened "$device" && return 0
  repair "$device"
  mount -t ext4 -o "$KEEP,nosymfollow,errors=remount-ro" "$device" "$NEW/state" && return 0
  mount -t ext4 -o "ro,noload,$KEEP,nosymfollow" "$device" "$NEW/state"
}

# Without a state partition the unit starts without any data, and reports it; it does not stop.
lose() {
  [ ! -e "$NEW/run/linetap-card" ] || : >"$NEW/run/linetap-card-refused"
  say "the state partition is not used: nothing of this unit is known"
  mount -t tmpfs -o "$KEEP,mode=0755,size=16m" linetap-lost "$NEW/state"
}

# /etc is the root's. The unit's stored part of it is data, checked by the root's own script usr/lib/linetap/state. Only
# in /etc/linetap do the unit's files overlay the image's, its notices and pins.toml. A trial write tests the partition:
# an ext4 that has found itself damaged is not always mounted read-only.
kept() {
  local state=$NEW/state
  chroot "$NEW" /usr/lib/linetap/state "$@" || return 1
  touch "$state/.work/written" 2>/dev/null && over_etc "upperdir=$state/etc/linetap,workdir=$state/.work,lowerdir=" &&
    is_written && return 0
  over_etc "ro,lowerdir=$state/etc/linetap:" || return 1
  say "the state partition can be read and not written"
  : >"$NEW/run/linetap-state-read-only" # check disk_errors
}

# A partition with foreign objects that cannot be moved away, e.g. immutable ones: this start uses copies of the unit's
# own files, in RAM. An encrypted card, which no stranger can write, is not used.
rescued() {
  local copies=$NEW/run/linetap-rescued
  if [ -e "$NEW/run/linetap-card" ]; then
    umount "$NEW/state" && lose && kept
    return
  fi
  mkdir "$copies" && mount -t tmpfs -o "$KEEP,mode=0755,size=16m" linetap-rescued "$copies" || return 1
  chroot "$NEW" /usr/lib/linetap/state rescue
  umount "$NEW/state" && mount --move "$copies" "$NEW/state" && kept again || return 1
  say "the state partition is used by copies in RAM: it cannot be corrected"
  : >"$NEW/run/linetap-state-read-only" # check disk_errors
}

# The kernel mounts an overlay read-only without an error, if it cannot use its work folder.
is_written() {
  touch "$NEW/etc/linetap/.written" 2>/dev/null && rm "$NEW/etc/linetap/.written" && return 0
  umount "$NEW/etc/linetap"
  return 1
}

over_etc() { mount -t overlay -o "$KEEP,$1$NEW/etc/linetap" etc "$NEW/etc/linetap" 2>/dev/null; }
