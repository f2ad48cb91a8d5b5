#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# In fresh namespaces: ROOT becomes the root of a systemd, with this project in its /opt. usage: enter.sh ROOT PROJECT
set -euo pipefail
root=$1 project=$2
mount --make-rprivate /
cd "$root"
mkdir -p opt/linetap
mount --bind "$project" opt/linetap # wherever it lies, were it in /tmp
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs tmpfs dev/shm
# Not chroot: within one the kernel gives nobody a user namespace.
pivot_root . .
umount -l .
cd /
mount --make-rshared / # as process 1 finds it on a machine of its own: credentials are mounted from elsewhere
exec /usr/bin/env -i container=linetap PATH=/usr/sbin:/usr/bin \
  /usr/lib/systemd/systemd --system --unit=basic.target --show-status=0
