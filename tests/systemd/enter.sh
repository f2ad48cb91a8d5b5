#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# In fresh namespaces: ROOT becomes the root of a systemd, with this project in its /opt, in the control group GROUP.
# usage: enter.sh ROOT PROJECT GROUP
set -euo pipefail
root=$1 project=$2 group=$3
mount --make-rprivate /
cd "$root"
mkdir -p opt/linetap
mount --bind "$project" opt/linetap # wherever it lies, were it in /tmp
mount -t proc proc proc
# A /dev of its own: systemd makes links in it that this machine would keep, and tests lay devices that it has not.
mount -t tmpfs -o mode=755 tmpfs dev
cp -a /dev/{null,zero,full,random,urandom,tty,console} dev/
mkdir dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t sysfs sysfs sys
# Two guests at a time would have each other's processes in their units' groups, and a later one finds what an earlier
# one has attached to them: which devices are open.
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir "sys/fs/cgroup/$group"
echo 0 >"sys/fs/cgroup/$group/cgroup.procs"
umount sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs tmpfs dev/shm
# Not chroot: within one the kernel gives nobody a user namespace.
pivot_root . .
umount -l .
cd /
mount --make-rshared / # as process 1 finds it on a machine of its own: credentials are mounted from elsewhere
exec unshare --cgroup /bin/sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec /usr/bin/env -i container=linetap PATH=/usr/sbin:/usr/bin \
  /usr/lib/systemd/systemd --system --unit=basic.target --show-status=0'
