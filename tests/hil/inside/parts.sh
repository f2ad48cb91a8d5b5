#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# snd-aloop as codec (device 0) and line (device 1); gpio-sim as the header of a Pi.
set -eu
for name in inet_diag tcp_diag; do insmod /run/hil/modules/$name.ko; done # for ss
modprobe snd-pcm
insmod /run/hil/modules/snd-aloop.ko index=0 id=Loopback pcm_substreams=1
if grep -q 'Raspberry Pi' /proc/device-tree/model; then
  : >/run/hil/gpio.env # it has a header of its own
  exit 0
fi
[ -d /sys/kernel/config ] || insmod /run/hil/modules/configfs.ko
insmod /run/hil/modules/gpio-sim.ko
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
chip=/sys/kernel/config/gpio-sim/header
mkdir -p $chip/bank0
echo 28 >$chip/bank0/num_lines
echo pinctrl-bcm2711 >$chip/bank0/label
echo 1 >$chip/live
name=$(cat $chip/bank0/chip_name)
printf 'RPI_LGPIO_CHIP=%s\nRPI_LGPIO_REVISION=c03114\n' "${name#gpiochip}" >/run/hil/gpio.env
echo "/sys/devices/platform/$(cat $chip/dev_name)/$name" >/run/hil/gpio.path
