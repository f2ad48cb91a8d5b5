#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run by systemd in the emulated Pi: what its services are, and what `linetap bringup` measures, onto the console.
say() { while read -r line; do echo "<1>hil: $1 $line" >/dev/kmsg; done; }
n=0
while [ $n -lt 600 ] && ! systemctl is-active --quiet linetap-reporter.service; do n=$((n + 1)); sleep 1; done
systemctl list-units --plain --no-legend --all 'linetap*' | say unit
systemctl list-units --plain --no-legend --failed | say failed
systemctl list-jobs --plain --no-legend | say job
ls /boot/firmware | say card
cp /boot/firmware/linetap-error.txt /dev/kmsg
linetap bringup --config /etc/linetap/unit.toml --minutes 2 -o /run 2>&1 | say bringup
for file in /run/*.bringup.json*; do base64 -w 400 "$file" | say "file ${file##*/}"; done
echo done | say over
