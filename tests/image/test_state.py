# SPDX-License-Identifier: Apache-2.0
"""The stored part of /etc, on a partition that is writable with the card in hand: the image's script, over folders."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap.provision.applyorder import BROKER_NETWORKS, SECRET, files_of, udev_rules
from linetap_core.enrolment.order import Network, read
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source

PROJECT = Path(__file__).resolve().parents[2]
ROOT = PROJECT / "image/root"
SCRIPT = ROOT / "usr/lib/linetap/state"
KEPT = SCRIPT.parent / "kept"
LISTED = sorted(str(path.relative_to(KEPT)) for path in KEPT.rglob("*") if path.is_file())
WIRE = "systemd/network/10-linetap.network"
CARDS = "udev/rules.d/69-linetap.rules"
# Paths from which a program of the root would read commands, if /etc were the partition's.
CODE = (
    "systemd/system/evil.service", "systemd/system/linetap-recorder.service.d/evil.conf", "systemd/network.conf",
    "systemd/system-generators/evil", "chrony/chrony.conf",
    "udev/rules.d/99-evil.rules", "rauc/keyring.pem", "ld.so.preload", "sudoers.d/evil", "pam.d/sshd", "passwd",
    "modprobe.d/evil.conf", "tmpfiles.d/evil.conf", "sysusers.d/evil.conf", "hostname",
    "systemd/network/99-evil.network",
    "python3.13/sitecustomize.py", "ssh/sshd_config.d/evil.conf", "nftables.conf",
)  # fmt: skip


@dataclass
class Unit:
    """The unit's state partition and its /run."""

    state: Path
    run: Path

    def run_script(self, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        names = {"LINETAP_STATE": self.state, "LINETAP_RUN": self.run, "LINETAP_LOG": self.run / "kmsg"}
        environment = os.environ | {name: str(path) for name, path in names.items()} | more
        return subprocess.run([SCRIPT, *words], env=environment, capture_output=True, timeout=120, check=False)

    def start(self, *words: str) -> list[str]:
        """Runs the script; returns its messages."""
        done = self.run_script(*words)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        return (self.run / "linetap-left").read_text().splitlines()

    def lay(self, path: str, data: bytes | str = b"x\n") -> Path:
        place = self.state / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data if isinstance(data, bytes) else data.encode())
        return place

    def copied(self, path: str) -> bytes:
        return (self.run / "linetap-etc" / path).read_bytes()


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    (tmp_path / "state").mkdir()
    (tmp_path / "run").mkdir()
    return Unit(tmp_path / "state", tmp_path / "run")


def test_a_new_partition_is_made_ready_and_says_nothing(unit: Unit) -> None:
    assert unit.start() == []
    for folder in ("etc/linetap", "config", ".work"):
        assert (unit.state / folder).is_dir()
    assert {path for path in LISTED if not (unit.run / "linetap-etc" / path).exists()} == {CARDS}, "see state, `copy`"
    assert {unit.copied(path) for path in LISTED if path != CARDS} == {b""}
    number = unit.copied("machine-id")
    assert re.fullmatch(rb"[0-9a-f]{32}\n", number)
    assert unit.start() == []
    assert unit.copied("machine-id") == number, "journal and DHCP know the unit by it"


def test_the_build_links_what_is_listed_and_provisioning_writes_no_more(tmp_path: Path) -> None:
    script = f"set -eu\nROOT={tmp_path}/root\n{_function('link_kept')}\nlink_kept\n"
    subprocess.run(["bash", "-c", script], cwd=PROJECT, check=True, timeout=120)
    links = {
        path.relative_to(tmp_path / "root/etc"): path.readlink()
        for path in (tmp_path / "root/etc").rglob("*.*")
        if path.is_symlink()
    }
    assert links == {Path(path): Path("/run/linetap-etc") / path for path in LISTED}
    written = set(files_of(Network())) | set(udev_rules({}))
    assert written == {*LISTED, BROKER_NETWORKS}, "which lies in etc/linetap, and its generator takes addresses alone"


def _function(name: str) -> str:
    text = (PROJECT / "image/steps/root.sh").read_text()
    found = re.search(rf"^{name}\(\) {{.*?^}}$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("path", CODE)
def test_nothing_that_is_not_listed_is_copied(unit: Unit, path: str) -> None:
    unit.lay(f"etc/{path}", "[Service]\nExecStart=/bin/sh\n")
    assert unit.start() == [f"not a unit's: etc/{path}"]
    assert {
        str(p.relative_to(unit.run / "linetap-etc")) for p in (unit.run / "linetap-etc").rglob("*") if p.is_file()
    } == {*LISTED, "machine-id"} - {CARDS}
    assert (unit.state / "etc" / path).exists(), "left where it is, for whoever has to look into it"


# --- What is listed ---------------------------------------------------------------------------------------------------


def kept_of(network: Network) -> dict[str, str]:
    return {path: text for path, text in files_of(network).items() if text is not None and path != BROKER_NETWORKS}


def permits(path: str, text: bytes) -> bool:
    """Whether the script permits it."""
    command = ["grep", "-aEvxq", "-f", str(KEPT / path)]
    return subprocess.run(command, input=text, timeout=60, check=False, env={"LC_ALL": "C"}).returncode == 1


_HOSTS = st.from_regex(r"[0-9A-Za-z.:_-]{1,64}", fullmatch=True)
_ADDRESSES = st.ip_addresses().map(str)
_WIFI = st.fixed_dictionaries(
    {
        "ssid": st.text(
            st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='"'), min_size=1, max_size=32
        ),
        "passphrase": st.from_regex(r"[ !#-~]{8,63}", fullmatch=True),
        "country": st.from_regex(r"[A-Z]{2}", fullmatch=True),
    }
)
_NETWORKS: st.SearchStrategy[dict[str, object]] = st.builds(
    dict,
    address=st.none() | st.builds("{}/{}".format, _ADDRESSES, st.integers(0, 32)),
    gateway=_ADDRESSES,
    dns=st.lists(_ADDRESSES, max_size=4),
    ntp=st.lists(_HOSTS, max_size=4),
    vlan=st.none() | st.integers(1, 4094),
    wifi=st.none() | _WIFI,
)


@settings(max_examples=40, deadline=None)
@given(_NETWORKS)
def test_what_provisioning_writes_is_permitted_line_by_line(fields: dict[str, object]) -> None:
    for path, text in kept_of(msgspec.convert(fields, Network)).items():
        assert permits(path, text.encode()), text


def test_what_provisioning_writes_is_copied(unit: Unit) -> None:
    network = Network(address="10.1.2.3/24", gateway="10.1.2.1", dns=["10.1.2.1"], ntp=["ntp.city.example"], vlan=7)
    for path, text in kept_of(network).items():
        unit.lay(f"etc/{path}", text)
    assert unit.start() == []
    for path, text in kept_of(network).items():
        assert unit.copied(path).decode() == text
    unit.lay(f"etc/{WIRE}", kept_of(Network())[WIRE])
    unit.start("copy")
    assert b"DHCP=yes" in unit.copied(WIRE)


def test_wifi_is_root_s_alone_and_udev_s_ports_are_taken(unit: Unit) -> None:
    wifi = {"ssid": "3층 통신실", "passphrase": "the passphrase", "country": "KR"}
    unit.lay(f"etc/{SECRET}", kept_of(msgspec.convert({"wifi": wifi}, Network))[SECRET])
    readme = (PROJECT / "systemd/README.md").read_text()
    rules = "".join(
        f"{line}\n" for line in dict.fromkeys(re.findall(r"^SUBSYSTEM==.*LINETAP_CARD.*$", readme, re.MULTILINE))
    )
    assert rules.count("\n") == 2
    unit.lay(f"etc/{CARDS}", "# Codecs, left to right.\n\n" + rules)
    assert unit.start() == []
    assert unit.copied(CARDS).decode().endswith(rules)
    assert "통신실".encode() in unit.copied(SECRET)
    assert (unit.run / "linetap-etc" / SECRET).stat().st_mode & 0o777 == 0o600
    (unit.state / "etc" / CARDS).unlink()  # an order for a single card
    unit.start("copy")
    assert not (unit.run / "linetap-etc" / CARDS).exists()


WRONG = {
    WIRE: ("[Match]\nName=*\n", "[Network]\nDHCPServer=yes\n", "[DHCPv4]\nRequestOptions=1\n",
        "DNS=1.1.1.1 \n", "\0\n", "Name=en*\\\n"),
    "systemd/network/20-linetap-vlan.netdev": ("[WireGuard]\n", "PrivateKeyFile=/etc/shadow\n", "Kind=tun\n"),
    SECRET: (
        "ctrl_interface=/run/evil\n", "load_dynamic_eap=/state/evil.so\n", "pkcs11_module_path=/state/evil.so\n",
        "openssl_ciphers=x\n", '  ssid="a"\n  wps_nfc_dev_pw="b"\n', '  ssid="a" # "\n', "  ca_cert=\"/state/x\"\n",
    ),
    "chrony/sources.d/linetap.sources": ("server ntp.evil key 1\n", "include /state/evil.conf\n", "refclock SHM 0\n"),
    CARDS: (
        'SUBSYSTEM=="sound", RUN+="/bin/sh /state/evil"\n', 'IMPORT{program}="/bin/sh"\n',
        'SUBSYSTEM=="sound|tty", KERNELS=="1-1.1", ENV{LINETAP_CARD}="1", RUN+="/bin/sh"\n',
        '# harmless \\\n', 'SUBSYSTEM=="sound|tty", KERNELS=="*", ENV{LINETAP_CARD}="1"\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "text"), [(path, text) for path, texts in WRONG.items() for text in texts])
def test_a_line_that_no_unit_writes_costs_the_file(unit: Unit, path: str, text: str) -> None:
    good = kept_of(Network(vlan=7, ntp=["a"])).get(path, "")
    unit.lay(f"etc/{path}", good + text)
    assert unit.start() == [f"not used, it has lines that no unit writes: etc/{path}"]
    assert unit.copied(path) == b""


def test_a_file_that_ends_in_an_error_is_not_used(unit: Unit, tmp_path: Path) -> None:
    """The last line is read but not judged: grep ends at the read error after it, before it has seen its end."""
    shim = tmp_path / "badread.so"
    source = Path(__file__).with_name("badread.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, source], check=True, timeout=120)
    code = b'SUBSYSTEM=="mem", RUN+="/bin/sh -c id"'
    comment = b"# " + b"x" * 61 + b"\n"
    text = comment * 639
    text += b"#".ljust(40960 - len(text) - len(code) - 1, b"x") + b"\n" + code
    place = unit.lay(f"etc/{CARDS}", text + comment)
    done = unit.run_script(LD_PRELOAD=str(shim), BADREAD_FILE=str(place), BADREAD_BYTES=str(len(text)))
    assert done.returncode == 0
    assert unit.copied(CARDS) == b""
    assert (unit.run / "linetap-left").read_text() == f"not used, it cannot be read: etc/{CARDS}\n"


def test_a_judge_that_fails_permits_nothing(unit: Unit, tmp_path: Path) -> None:
    unit.lay(f"etc/{CARDS}", 'RUN+="/bin/sh"\n')
    grep = tmp_path / "grep"
    grep.write_text("#!/bin/sh\nexit 2\n")
    grep.chmod(0o755)
    unit.run_script(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert unit.copied(CARDS) == b""


def test_a_listed_name_that_is_no_such_file_costs_the_file(unit: Unit, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("DHCP=yes\n")
    place = unit.state / "etc" / WIRE
    place.parent.mkdir(parents=True)
    said = [f"not used, no such file as a unit writes: etc/{WIRE}"]
    for lay in (
        lambda: place.symlink_to(secret),
        lambda: place.symlink_to("nowhere"),
        lambda: place.hardlink_to(secret),
        lambda: os.mkfifo(place),
        lambda: place.mkdir(),
        lambda: place.write_bytes(b"DHCP=yes\n" * 20000),
    ):
        lay()
        assert unit.start() == said
        assert unit.copied(WIRE) == b""
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()


def test_a_folder_on_the_way_is_a_folder(unit: Unit, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/network").mkdir(parents=True)
    (tmp_path / "elsewhere/network" / Path(WIRE).name).write_text("DHCP=yes\n")
    unit.lay("etc/udev", b"no folder")
    (unit.state / "etc/systemd").symlink_to(tmp_path / "elsewhere")
    told = unit.start()
    assert {line.split(": ")[1] for line in told} == {"etc/systemd", "etc/udev", "left"}
    assert unit.copied(WIRE) == b""
    assert (unit.state / "etc/systemd/network").is_dir()


# --- The unit's own folders -------------------------------------------------------------------------------------------


def test_only_regular_files_stay_in_the_folders_that_root_writes(unit: Unit, tmp_path: Path) -> None:
    """Through a link there provisioning would write an order's files to its target."""
    good = ("unit.key", "unit.key.kept", "order.json", "order.json.twin", "ca.pem", "retired/20261129.json")
    for name in good:
        unit.lay(f"etc/linetap/{name}", name)
    unit.lay("config/unit.toml", "unit = 1\n")
    unit.lay("etc/linetap/.new/unit.key")
    target = tmp_path / "target"
    target.write_text("kept")
    (unit.state / "etc/linetap/x.pem").symlink_to(target)
    (unit.state / "etc/linetap/y.pem").hardlink_to(target)
    (unit.state / "config/.unit.toml.tmp").symlink_to(target)
    os.mkfifo(unit.state / "config/unit.toml.kept")
    (unit.state / "etc/linetap/retired/link").symlink_to(target)
    unit.lay("etc/linetap/notices/notice_ko.wav", b"silence")
    unit.lay("etc/linetap/a b\nc\x1b[2J", b"")
    with (unit.state / "etc/linetap/huge").open("wb") as file:
        file.truncate(3 << 20)
    told = unit.start()
    assert len(told) == 9
    assert told[-1] == "not a unit's: left"
    assert all(line.isprintable() for line in told)
    left = [path for path in (unit.state / "etc/linetap").rglob("*") if path.is_file()]
    assert {str(path.relative_to(unit.state / "etc/linetap")) for path in left} == set(good)
    assert [path.name for path in (unit.state / "config").iterdir()] == ["unit.toml"]
    assert target.read_text() == "kept"
    assert unit.start() == ["not a unit's: left"]


def test_wrong_types_in_place_of_folders(unit: Unit, tmp_path: Path) -> None:
    for name in ("etc", "config", ".work", "left"):
        (unit.state / name).symlink_to(tmp_path)
    told = unit.start()
    assert [line.split(": ")[1] for line in told] == ["etc", "config", ".work", "left"]
    assert not (tmp_path / "machine-id").exists()
    shutil.rmtree(unit.state / "left")
    assert unit.start() == []


@pytest.mark.parametrize("text", ["", "0" * 32, "g" * 32, "a" * 31, "a" * 33, "../../etc/shadow", "\0" * 32])
def test_a_machine_id_is_32_digits(unit: Unit, text: str) -> None:
    unit.lay("etc/machine-id", text)
    assert unit.start() == []
    found = unit.copied("machine-id")
    assert re.fullmatch(rb"[0-9a-f]{32}\n", found)
    assert found != b"0" * 32 + b"\n"
    assert (unit.state / "etc/machine-id").read_bytes() == found


def test_very_many_files_are_named_in_part_and_cost_no_start(unit: Unit) -> None:
    for n in range(300):
        unit.lay(f"etc/cron.d/{n}")
        unit.lay(f"etc/linetap/{n}")
    told = unit.start()
    assert told[0] == "moved to left/0: etc/linetap"
    assert len(told) == 1 + 20
    assert list((unit.state / "etc/linetap").iterdir()) == []


def test_a_partition_that_cannot_be_put_right_is_not_used(unit: Unit, tmp_path: Path) -> None:
    """As on a read-only file system: the initramfs then uses RAM instead."""
    (unit.state / "etc").symlink_to(tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "mv").symlink_to("/bin/false")
    assert unit.run_script(PATH=f"{programs}:{os.environ['PATH']}").returncode == 1


# --- An order's own fields --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        'gateway = "fe80::1%end0\\n[Network]\\nDHCPServer=yes"\naddress = "fe80::2/64"',
        'gateway = "fe80::1"\naddress = "fe80::2%a\\nDHCPServer=yes/64"',
        'dns = ["fe80::1%x y"]',
        'ntp = ["ntp.city key 1"]',
        'ntp = ["ntp.city\\n"]',
        'wifi = { ssid = "closet\\n", passphrase = "the passphrase" }',
        'wifi = { ssid = "closet", passphrase = "the passphrase\\n" }',
    ],
)
def test_no_field_of_an_order_brings_a_line_of_its_own(line: str, tmp_path: Path) -> None:
    """ipaddress accepts anything after a %, and $ of a pattern a newline."""
    text = f'[network]\n{line}\n[files]\n"unit.toml" = "x"\n'
    with pytest.raises(BadInput, match="network"):
        read(Source(tmp_path / "linetap.toml", text.encode()))
