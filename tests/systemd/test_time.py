# SPDX-License-Identifier: Apache-2.0
"""The clock's part of a unit: Debian's chronyd with our configuration, and its report as read by the recorder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest import Guest, guest, skip_reason, until

from linetap_core.clock import SYSTEM
from linetap_core.timekeeping import CHRONY, chrony_offset_ms

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "systemd" / "chrony" / "linetap.conf"
IMAGE = ROOT / "image/root"
SERVERS = "timeservers-linetap"
BY_DHCP, BY_ORDER, BY_ANOTHER = "10.9.0.7", "10.9.0.8", "10.9.0.9"
LEASES = f"""interface port
start 10.9.0.20
end 10.9.0.30
lease_file /run/leases
pidfile /run/udhcpd.pid
option subnet 255.255.255.0
option ntpsrv {BY_DHCP}
"""


@pytest.fixture(scope="module")
def unit() -> Iterator[Guest]:
    with guest() as made:
        # -x: the guest's clock is this machine's, and stays unchanged. Without a network chronyd is its own source.
        made.write("/etc/default/chrony", 'DAEMON_OPTS="-x"\n')
        made.write("/etc/chrony/chrony.conf", SHIPPED.read_text() + "local stratum 10\n")
        made.boot()
        yield made


def test_what_chronyd_says_reaches_the_recorder_and_nobody_outside(unit: Guest, tmp_path: Path) -> None:
    unit.run("systemctl", "start", "chrony.service")
    assert "-x" in unit.run("cat", f"/proc/{unit.property('chrony', 'MainPID')}/cmdline").split("\0")
    said = tmp_path / "clock"

    def offset_ms() -> float | None:
        unit.run("systemctl", "start", "linetap-clock.service")
        said.write_text(unit.run("cat", str(CHRONY)))
        return chrony_offset_ms(SYSTEM, said)

    until(lambda: offset_ms() == 0, "chronyd believes itself")
    assert unit.run("stat", "-c", "%U %G %a", str(CHRONY)) == "_chrony linetap 640"
    assert unit.run("ss", "-Hlnu") == "", "nobody can ask this clock for the time"


def test_a_unit_without_chronyd_says_nothing_of_it(unit: Guest) -> None:
    unit.run("systemctl", "stop", "chrony.service")
    unit.run("systemctl", "start", "linetap-clock.service")
    assert unit.property("linetap-clock", "ConditionResult") == "no"
    assert unit.property("linetap-clock", "Result") == "success"


@pytest.fixture(scope="module")
def wired() -> Iterator[Guest]:
    """A unit of an image on its cable, with Debian's networkd and chronyd; a DHCP server is at the other end."""
    with guest() as made:
        shutil.copytree(IMAGE / "usr/lib/linetap", made.root / "usr/lib/linetap")
        network = "usr/lib/systemd/network/80-linetap-new.network"
        shutil.copy(IMAGE / network, made.root / network)
        for kind in ("path", "service"):
            name = f"etc/systemd/system/{SERVERS}.{kind}"
            shutil.copy(IMAGE / name, made.root / name)
        made.write("/etc/default/chrony", 'DAEMON_OPTS="-x"\n')
        made.write("/etc/chrony/chrony.conf", SHIPPED.read_text())
        made.write("/etc/udhcpd.conf", LEASES)
        made.boot()
        made.run("mount", "-o", "remount,ro,bind", "/sys")  # networkd then waits for no udev
        made.run("sh", "-c", "ip netns add switch && ip link add end0 type veth peer name port netns switch")
        switch = ("ip", "netns", "exec", "switch")
        made.run(*switch, "sh", "-c", "ip addr add 10.9.0.1/24 dev port && ip link set port up && : >/run/leases")
        made.run("systemd-run", "--quiet", *switch, "busybox", "udhcpd", "-f", "/etc/udhcpd.conf")
        made.run("systemctl", "start", f"{SERVERS}.path", "chrony", "systemd-networkd")
        yield made


def sources(unit: Guest) -> str:
    return unit.run("chronyc", "-c", "-n", "sources", check=False)


def test_chronyd_asks_the_server_that_dhcp_names(wired: Guest) -> None:
    until(lambda: BY_DHCP in sources(wired), "DHCP's server is a source")


def start_and_hold(unit: Guest) -> None:
    """Starts the service; it has read the servers, and waits before it tells chronyd, until `let_go`."""
    waits = ": >/run/chrony-dhcp/asks\nwhile [ ! -e /run/goes-on ]; do sleep 0.1; done\n"
    until(lambda: unit.property(SERVERS, "ActiveState") == "inactive", "the service has ended")
    unit.write("/usr/local/bin/chronyc", f"#!/bin/sh\n{waits}exec /usr/bin/chronyc $*\n")
    unit.run("chmod", "755", "/usr/local/bin/chronyc")
    unit.run("rm", "-f", "/run/goes-on", "/run/chrony-dhcp/asks")
    unit.run("systemctl", "start", "--no-block", f"{SERVERS}.service")
    until(lambda: unit.run("sh", "-c", "ls /run/chrony-dhcp/asks", check=False), "the service has read the servers")


def let_go(unit: Guest) -> None:
    unit.run("touch", "/run/goes-on")


def test_a_server_named_while_the_service_runs_is_asked_too(wired: Guest) -> None:
    """systemd watches networkd's file only while the service does not run: the lease came, and was not seen."""
    start_and_hold(wired)
    wired.run("sed", "-i", f"s/^NTP=.*/NTP={BY_ANOTHER}/", "/run/systemd/netif/state")
    let_go(wired)
    until(lambda: BY_ANOTHER in sources(wired), "the server that was named meanwhile is a source")
    wired.run("sed", "-i", f"s/^NTP=.*/NTP={BY_DHCP}/", "/run/systemd/netif/state")
    until(lambda: BY_ANOTHER not in sources(wired), "DHCP's again")


def test_an_orders_servers_replace_those_of_dhcp(wired: Guest) -> None:
    """The order comes while the service runs, so that systemd does not start it again. On an image the file is a link
    to the checked copy.
    """
    order = "/etc/chrony/sources.d/linetap.sources"
    wired.run("sh", "-c", f": >/run/order && ln -s /run/order {order}")
    start_and_hold(wired)
    wired.run("sh", "-c", f"echo server {BY_ORDER} iburst >/run/order")
    wired.run("systemctl", "start", "--no-block", f"{SERVERS}.service")  # as reloadorder does
    let_go(wired)
    until(lambda: BY_ORDER in sources(wired), "the order's server is a source")
    until(lambda: BY_DHCP not in sources(wired), "DHCP's is none any more")


def test_without_dhcp_and_order_there_is_no_source(wired: Guest) -> None:
    wired.run("sh", "-c", ": >/etc/chrony/sources.d/linetap.sources")
    wired.run("systemctl", "start", f"{SERVERS}.service")
    until(lambda: BY_DHCP in sources(wired), "DHCP's again")
    wired.run("ip", "link", "del", "end0")
    until(lambda: sources(wired) == "", "the network's end is noticed")
