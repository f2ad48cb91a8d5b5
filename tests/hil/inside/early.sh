#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sourced by the image's init, in the tests alone, where the machine has a TPM: before anything is measured. Python is the root's.
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name" 2>/dev/null)" = tpm ] || continue
  mkdir -p /hil-root
  mount -t squashfs -o ro /dev/dm-0 /hil-root
  for dir in proc sys dev; do mount -o bind /$dir /hil-root/$dir; done
  chroot /hil-root /usr/sbin/modprobe tpm_vtpm_proxy
  chroot /hil-root /usr/bin/python3 -IE -c "$(cat /hil/tpm_bridge.py)" "/dev/$(basename "$port")" &
  while [ ! -c /dev/tpmrm0 ]; do sleep 0.1; done
done
