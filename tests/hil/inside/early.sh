#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sourced by the image's init, in the tests alone, before anything is measured. Where the machine has a TPM: Python is the root's.
# shellcheck disable=SC2154 # of init
while grep -qw "hil.hang=$slot" /proc/cmdline; do sleep 60; done # a start that hangs
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name" 2>/dev/null)" = tpm ] || continue
  mkdir -p /hil-root
  mount -t squashfs -o ro /dev/dm-0 /hil-root
  for dir in proc sys dev; do mount -o bind /$dir /hil-root/$dir; done
  insmod /hil/modules/tpm_vtpm_proxy.ko
  chroot /hil-root /usr/bin/python3 -IE -c "$(cat /hil/tpm_bridge.py)" "/dev/$(basename "$port")" &
  while [ ! -c /dev/tpmrm0 ]; do sleep 0.1; done
done
