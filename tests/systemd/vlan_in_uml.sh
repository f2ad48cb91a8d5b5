#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A VLAN of an order, taken by a running systemd-networkd: for a machine whose kernel has no VLANs, in user-mode Linux
# (apt install user-mode-linux). Prints REACHED and ends with 0 when the switch answers through the VLAN. By hand; what runs
# in the suite is test_changeover.py.
set -euo pipefail
here=$(readlink -f "${BASH_SOURCE[0]}")
root=${here%/tests/*}
readonly here root VLAN=120 SWITCH=10.9.0.1 IMAGE=image/root/usr/lib/systemd/network
readonly NETWORKD=/run/systemd/network NETIF=/run/systemd/netif CAPS=+net_admin,+net_raw,+net_bind_service,+net_broadcast

as_machine() { # process 1 of the machine; this machine's root, read-only, is its root
  local modules module path networkd
  export PATH=/usr/sbin:/usr/bin:/sbin:/bin
  mount -t proc proc /proc
  mount -t sysfs -o ro sysfs /sys # networkd then waits for no udev
  mount -t tmpfs tmpfs /run
  mount -t devtmpfs dev /dev 2>/dev/null || true
  modules=/usr/lib/uml/modules/$(uname -r)/kernel
  for module in net/llc/llc net/802/stp net/802/garp net/802/mrp net/8021q/8021q drivers/net/veth; do
    insmod "$modules/$module.ko"
  done
  mkdir -p /run/netns "$NETWORKD" "$NETIF"/{links,leases,lldp}
  chown -R systemd-network:systemd-network "$NETIF"
  ip netns add switch
  ip link add end0 type veth peer name port netns switch
  ip netns exec switch sh -c "ip link set lo up; ip link add link port name tagged type vlan id $VLAN
    ip link set port up; ip link set tagged up; ip addr add $SWITCH/24 dev tagged"
  cp "$root/$IMAGE/80-linetap-new.network" "$NETWORKD/"
  touch "$NETWORKD"/10-linetap.network "$NETWORKD"/20-linetap-vlan.{netdev,network} # as a start without an order has them
  setpriv --reuid=systemd-network --regid=systemd-network --clear-groups --inh-caps=$CAPS --ambient-caps=$CAPS \
    /usr/lib/systemd/systemd-networkd &
  networkd=$!
  sleep 5
  ! answers || echo "the VLAN is there too soon"
  for path in "$orders"/*; do cat "$path" >"$NETWORKD/${path##*/}"; done
  kill -HUP $networkd # what `networkctl reload` asks of it
  for _ in {1..20}; do
    sleep 1
    ! answers || { ip -br addr show "vlan$VLAN" && echo REACHED && break; }
  done
  echo o >/proc/sysrq-trigger
  sleep 10
}

answers() { [[ $(timeout 2 bash -c ": </dev/tcp/$SWITCH/9" 2>&1) == *refused* ]]; } # nobody listens there

if [ "$$" = 1 ]; then as_machine; fi
orders=$(mktemp -d)
trap 'rm -rf "$orders"' EXIT
"$root/.venv/bin/python" - "$orders" <<END
import sys
from pathlib import Path
from linetap.provision.applyorder import files_of
from linetap_core.enrolment.order import Network
for path, text in files_of(Network(address="10.9.0.5/24", gateway="$SWITCH", vlan=$VLAN)).items():
    if text and path.startswith("systemd/network/"):
        Path(sys.argv[1], Path(path).name).write_text(text)
END
timeout 120 linux.uml mem=256M rootfstype=hostfs rootflags=/ ro init="$here" orders="$orders" con=null con0=null,fd:1 quiet \
  </dev/null | tr -d "\r" | tee /dev/stderr | grep -qx REACHED
