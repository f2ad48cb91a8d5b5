# SPDX-License-Identifier: Apache-2.0
"""A small board, a small kernel, and the real trees if `tools/kernel_trees.py` has fetched them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from boards.closure import closure
from boards.kernel import BUILTIN, Kernel, kernel_of
from boards.suppliers import BINDINGS, NO_LINK, PARSED, SUFFIXES, WAITED_FOR
from boards.tree import Node, Tree, read_tree

ROOT = Path(__file__).parents[2]
TREES = ROOT / "build" / "trees"

# The card reader of a Pi: two supplies, one of them switched by a pin of a controller with its own pins.
BOARD = """/dts-v1/;
/ { compatible = "board"; #address-cells = <1>; #size-cells = <1>; interrupt-parent = <&gic>;
  gic: interrupt-controller@1 { compatible = "gic"; interrupt-controller; #interrupt-cells = <1>; };
  soc { compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>;
    clocks: clock-controller@2 { compatible = "clocks"; #clock-cells = <1>; };
    pins: pinctrl@3 { compatible = "pins"; card_pins: card-state { function = "sd"; }; };
    lines: gpio@4 { compatible = "lines"; #gpio-cells = <2>; gpio-controller; pinctrl-0 = <&card_pins>; };
    unused: dma@5 { compatible = "unused"; status = "disabled"; #dma-cells = <0>; };
    mmc@6 { compatible = "reader"; interrupts = <7>; clocks = <0>, <&clocks 5>; vmmc-supply = <&supply>;
            dmas = <&unused>; mmc-pwrseq = <&sequence>; };
    pcie@8 { compatible = "simple-bus"; }; watchdog@9 { compatible = "simple-bus"; };
    ethernet@a { compatible = "simple-bus"; };
    mmc@7 { compatible = "reader"; status = "disabled"; vmmc-supply = <&nobody>; };
  };
  supply: supply { compatible = "regulator-fixed"; gpio = <&lines 3 0>; };
  nobody: nobody { compatible = "nobody"; };
  sequence: sequence { compatible = "sequence"; reset-gpios = <&lines 1 0>; };
};"""
MODULES = {"reader": "sdhci", "regulator-fixed": "fixed", "lines": "gpio_lines", "pins": "pinctrl_pins",
           "clocks": "clk", "sequence": "pwrseq"}  # fmt: skip
IN_KERNEL = ("gic", "simple-bus")


def tree_of(source: str) -> Tree:
    return read_tree(compiled(source))


def compiled(source: str, *options: str) -> bytes:
    command = ["dtc", "-q", "-I", "dts", "-O", "dtb", *options]
    return subprocess.run(command, input=source.encode(), capture_output=True, check=True, timeout=60).stdout


def entry(name: str) -> bytes:
    """The bytes of a struct of_device_id in a kernel's image."""
    return bytes(64) + name.encode().ljust(128, b"\0") + bytes(8)


def small_kernel(*without: str) -> Kernel:
    pairs = [(f"of:N*T*C{name}C*", module) for name, module in MODULES.items() if module not in without]
    pairs += [("mmc:block", BUILTIN), ("auxiliary:reset.gpio", BUILTIN)]
    return kernel_of(pairs, b"".join(map(entry, IN_KERNEL)))


def real_tree(name: str) -> Path:
    path = TREES / name
    if not path.exists():
        pytest.skip("build/trees has no tree of the kernel: tools/kernel_trees.py fetches it")
    return path


def laid_by_the_build(folder: Path, trees: dict[str, bytes]) -> Path:
    """A slot's folder with these trees, with the overlays that image/steps/boards.sh has applied."""
    into = folder / "root/usr/lib/linetap/boot"
    (into / "overlays").mkdir(parents=True)
    (folder / "work").mkdir()
    for name, blob in trees.items():
        (into / name).write_bytes(blob)
    for name in ("uarts-pi5", "blconfig-pi5", "clock-cm4"):
        source = (ROOT / f"image/boot/{name}.dts").read_text()
        (into / f"overlays/{name}.dtbo").write_bytes(compiled(source, "-@"))
    script = 'ROOT=root WORK=work; fail() { echo "$*" >&2; exit 1; }; . "$STEP"; lay_into_trees'
    environment = {"PATH": "/usr/bin:/bin", "STEP": str(ROOT / "image/steps/boards.sh")}
    command = ["bash", "-euc", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return into


def written_again(blob: bytes) -> str:
    """dtc's source of the tree as read and written here; for comparison with `sorted_source`."""
    return sorted_source(compiled("/dts-v1/;\n" + _source(read_tree(blob).root), "-f"))


def sorted_source(blob: bytes) -> str:
    command = ["dtc", "-q", "-f", "-s", "-I", "dtb", "-O", "dts"]
    done = subprocess.run(command, input=blob, capture_output=True, check=True, timeout=60).stdout.decode()
    return "\n".join(line for line in done.splitlines() if not line.startswith("/memreserve/"))


def _source(node: Node) -> str:
    properties = [f"{name}{' = [' + value.hex() + ']' if value else ''};" for name, value in node.properties.items()]
    return f"{node.name or '/'} {{\n" + "\n".join([*properties, *map(_source, node.children)]) + "\n};"


def unknown_properties(name: str, tree: Tree) -> set[str]:
    """Properties of the required devices that may hold a phandle and that no rule follows."""
    known = {*BINDINGS, *PARSED, *NO_LINK, *WAITED_FOR, *VALUES.split()}
    unknown = set()
    for path in {step.path for step in closure(name, tree, kernel_of([], b"")).steps} & set(tree.by_path):
        names = tree.by_path[path].properties.keys()
        unknown |= {name for name in names if name not in known and not name.endswith(tuple(SUFFIXES))}
    return unknown


# Properties without phandles: those of mainline's trees, and those of Raspberry Pi's alone.
VALUES = """
#address-cells #clock-cells #gpio-cells #interrupt-cells #mbox-cells #phy-cells #power-domain-cells #reset-cells
#size-cells #thermal-sensor-cells arm,primecell-periphid assigned-clock-rates brcm,enable-ssc brcm,gpio-bank-widths
brcm,msi-offset broken-cd bus-width clock-frequency clock-names clock-output-names compatible device_type dma-ranges
dr_mode enable-active-high g-np-tx-fifo-size g-rx-fifo-size g-tx-fifo-size gpio-controller gpio-line-names
interrupt-controller interrupt-map-mask interrupt-names linux,pci-domain local-mac-address max-link-speed mmc-ddr-3_3v
mmc-hs200-1_8v msi-controller non-removable num-lanes phandle phy-mode phy-names pinctrl-names quartz-load-femtofarads
ranges reg reg-names regulator-always-on regulator-boot-on regulator-max-microvolt regulator-min-microvolt
regulator-name regulator-settling-time-us reset-names sd-uhs-ddr50 sd-uhs-sdr104 sd-uhs-sdr50 sdhci-caps
sdhci-caps-mask snps,dis_rxdet_inp3_quirk snps,parkmode-disable-hs-quirk snps,parkmode-disable-ss-quirk
snps,tx-max-burst snps,tx-thr-num-pkt startup-delay-us states status system-power-controller usb3-lpm-capable
aspm-no-l0s brcm,gpio-direct brcm,vdm-qos-map cdns,ar2r-max-pipe cdns,aw2w-max-pipe cdns,use-aw2b-fill mmc-hs400-1_8v
mmc-hs400-enhanced-strobe phy-reset-duration skip-init snps,axi-pipe-limit snps,enhanced-nak-fs-quirk
snps,parkmode-disable-fsls-quirk supports-cqe
"""
