#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sourced by the image's init, in the tests alone: /run is there before systemd, with the units of the tests.
grep -q ' /new/run ' /proc/mounts || mount -t tmpfs -o nosuid,nodev,mode=0755,size=64m tmpfs /new/run
cp -a /hil /new/run/hil
mkdir -p /new/run/systemd/system
cp -a /hil/units/. /new/run/systemd/system/
mkdir -p /new/run/udev/rules.d
cp /hil/69-hil.rules /new/run/udev/rules.d/
echo /run/hil/modprobe.sh >/proc/sys/kernel/modprobe
