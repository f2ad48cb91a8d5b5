# SPDX-License-Identifier: Apache-2.0
"""The modules that are in no unit: left-out-modules.txt, applied by the build's step to a tree like the kernel's."""

from __future__ import annotations

import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[2]
STAY = [
    "drivers/net/ethernet/broadcom/genet/genet.ko",
    "drivers/net/ethernet/cadence/macb.ko",
    "drivers/net/wireless/broadcom/brcm80211/brcmfmac/brcmfmac.ko",
    "drivers/net/phy/broadcom.ko",
    "drivers/scsi/sd_mod.ko",
    "drivers/usb/serial/ftdi_sio.ko",
    "sound/soc/bcm/snd-soc-bcm2835-i2s.ko",
    "sound/usb/snd-usb-audio.ko",
    "fs/fat/vfat.ko",
    "net/netfilter/nf_tables.ko",
]
GO = [
    "drivers/net/ethernet/intel/igb/igb.ko",
    "drivers/net/ethernet/broadcom/bnxt/bnxt_en.ko",
    "drivers/net/wireless/intel/iwlwifi/iwlwifi.ko",
    "drivers/net/wireless/broadcom/b43/b43.ko",
    "drivers/net/usb/asix.ko",
    "drivers/scsi/qla2xxx/qla2xxx.ko",
    "drivers/hid/usbhid/usbhid.ko",
    "net/sctp/sctp.ko",
    "net/tipc/tipc.ko",
    "fs/nfs/nfs.ko",
    "lib/test_bpf.ko",
]


def test_what_no_closet_has_goes_and_a_pis_own_stays(tmp_path: Path) -> None:
    root = tmp_path / "root"
    modules = root / "usr/lib/modules/7.0-test/kernel"
    for name in STAY + GO:
        (modules / name).parent.mkdir(parents=True, exist_ok=True)
        (modules / name).write_text(name)
    step = "kernel() { echo 7.0-test; }; . image/steps/kernel.sh; leave_out_modules"
    subprocess.run(
        ["bash", "-euc", step], cwd=PROJECT, env={"ROOT": str(root), "WORK": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=True, timeout=60,
    )  # fmt: skip
    found = {str(path.relative_to(modules)) for path in modules.rglob("*.ko")}
    assert found == set(STAY)
    assert all((modules / name).read_text() == name for name in STAY)


def test_each_line_is_of_one_of_two_kinds() -> None:
    text = (PROJECT / "image/left-out-modules.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(line[:2] in ("- ", "+ ") and not line[2:].startswith("/") and ".." not in line for line in lines)
    out = [line[2:] for line in lines if line.startswith("- ")]
    assert len(out) == len(set(out))
    for kept in (line[2:] for line in lines if line.startswith("+ ")):
        assert any(kept.startswith(f"{folder}/") for folder in out), kept
