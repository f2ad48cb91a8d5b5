#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The site's time server, on an address of the machine's own: the seconds of a counted machine are nobody else's.
# Debian's chronyd, which never touches the clock (-x).
set -eu
ip address add 10.77.1.1/32 dev lo
cat >/run/hil/time.conf <<'EOF'
local stratum 3
allow 10.77.1.1
bindaddress 10.77.1.1
cmdport 0
bindcmdaddress /
pidfile /run/hil/time.pid
user root
EOF
systemd-run --quiet --unit=site-time /usr/sbin/chronyd -d -x -f /run/hil/time.conf
systemctl restart chrony.service
