# SPDX-License-Identifier: Apache-2.0
"""A board's requirements are derived from its tree: every supplier on the way, and a fault for each without a driver.

The outside truth: dtc reads the same trees; the kernel's own list of properties that hold phandles
(drivers/of/property.c); and the kernel's own links between the devices of a Pi 4, as its sysfs has them
(tests/hil/test_pi_boots.py).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from boards_rig import BOARD, MODULES, compiled, entry, real_tree, small_kernel, tree_of

from boards.closure import closure
from boards.kernel import BUILTIN, kernel_of, read_kernel
from boards.models import ALSO, BOARDS
from boards.roles import ROLES, Role
from boards.suppliers import BINDINGS, NO_LINK, PARSED, SUFFIXES, WAITED_FOR, suppliers
from boards.tree import Node, TreeError, read_tree, with_overlays

CARD = (Role("card", ("mmc",), True, ("mmc:block",)),)


def test_a_card_reader_waits_for_supply_pin_pins_and_power_sequence() -> None:
    found = closure("board", tree_of(BOARD), small_kernel(), CARD)
    assert found.faults() == []
    assert found.early() == {"sdhci", "fixed", "gpio_lines", "pinctrl_pins", "clk", "pwrseq"}
    why = {step.path: step.why for step in found.steps}
    assert why["/supply"] == "vmmc-supply of /soc/mmc@6"
    assert why["/soc/pinctrl@3"] == "pinctrl-0 of /soc/gpio@4"
    assert "/soc/dma@5" not in why  # disabled: the kernel waits for no such supplier
    assert "/nobody" not in why


@pytest.mark.parametrize("module", ["sdhci", "fixed", "gpio_lines", "pinctrl_pins", "clk", "pwrseq"])
def test_each_supplier_without_a_driver_is_a_fault_with_its_path_and_name(module: str) -> None:
    (fault,) = closure("board", tree_of(BOARD), small_kernel(module), CARD).faults()
    name = next(name for name, taker in MODULES.items() if taker == module)
    assert f"({name})" in fault
    assert "nothing in the kernel or its modules takes it" in fault


@pytest.mark.parametrize("module", ["sdhci", "fixed", "gpio-lines", "pinctrl-pins"])
def test_each_module_that_an_initramfs_lacks_is_a_fault(module: str) -> None:
    found = closure("board", tree_of(BOARD), small_kernel(), CARD)
    packed = {"sdhci", "fixed", "gpio-lines", "pinctrl-pins", "clk", "pwrseq"}
    assert found.faults(packed) == []
    (fault,) = found.faults(packed - {module})
    assert "nothing in the initramfs takes it" in fault


def test_what_is_not_on_the_way_to_the_root_may_be_missing_in_the_initramfs() -> None:
    roles = (Role("card", ("mmc",)),)
    assert closure("board", tree_of(BOARD), small_kernel(), roles).faults([]) == []


@pytest.mark.parametrize(("text", "wanted"), [
    ("interrupts-extended = <&a 1 &b>;", {"/a", "/b"}),
    ("iommu-map = <0 &b 0 1>;", {"/b"}),
    ("power-domains = <&a 9>;", {"/a"}),
    ("ports { port { endpoint { remote-endpoint = <&far>; }; }; };", {"/b"}),
    ("gpio-hog; gpios = <3 0>;", set()),
    ("ngpios = <5>; brcm,nr-gpios = <1>;", set()),
    ("post-init-providers = <&a>;", set()),
    ("mdio { phy@1 { resets = <&a 4>; }; };", {"/a"}),
    ("gpio-ranges = <&a 0 5 9>, <&b 1 2 3>;", {"/a", "/b"}),
    ("msi-ranges = <&a 4 32>;", {"/a"}),
    ("#address-cells = <1>; #interrupt-cells = <1>; interrupt-map = <0 1 &b>, <0 2 &a 8 1>;", {"/a", "/b"}),
])  # fmt: skip
def test_properties_with_a_form_of_their_own(text: str, wanted: set[str]) -> None:
    tree = tree_of(f"""/dts-v1/; / {{
      a: a {{ compatible = "a"; #interrupt-cells = <1>; #power-domain-cells = <1>; #reset-cells = <1>;
              #address-cells = <1>; }};
      b: b {{ compatible = "b"; #interrupt-cells = <0>; ports {{ port {{ far: endpoint {{ }}; }}; }}; }};
      device {{ compatible = "device"; {text} }}; }};""")
    assert {supplier.path for _, supplier in suppliers(tree, tree.by_path["/device"])} == wanted


def test_the_driver_of_a_device_on_a_pci_bus_and_of_a_primecell() -> None:
    kernel = kernel_of([("pci:v00001DE4d00000001sv*sd*bc*sc*i*", "rp1_pci"), ("amba:d???41011", BUILTIN)], b"")
    assert kernel.takers(_device("pci1de4,1")) == ("rp1_pci",)
    assert kernel.takers(_device("pci1de4,2")) == ()
    assert kernel.takers(_device("arm,pl011", "arm,primecell")) == (BUILTIN,)


def test_a_name_in_the_image_counts_only_as_an_entry_of_a_table() -> None:
    assert kernel_of([], b"x" * 64 + entry("arm,gic-400")).takers(_device("arm,gic-400")) == (BUILTIN,)
    assert kernel_of([], b"message: arm,gic-400 is broken\0" + bytes(200)).takers(_device("arm,gic-400")) == ()
    assert kernel_of([], entry("arm,gic-400-v2")).takers(_device("arm,gic-400")) == ()


def test_a_kernel_is_read_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "modules.alias").write_text("# Aliases\nalias of:N*T*Cacme,fan fan\nalias of:N*T*Cacme,fanC* fan\n")
    (tmp_path / "modules.builtin.modinfo").write_bytes(b"clk.license=GPL\0clk.alias=of:N*T*Cacme,clock\0")
    (tmp_path / "vmlinuz").write_bytes(entry("acme,bus"))
    kernel = read_kernel(tmp_path, tmp_path / "vmlinuz")
    takers = [kernel.takers(_device(name)) for name in ("acme,fan", "acme,clock", "acme,bus", "acme,pump")]
    assert takers == [("fan",), (BUILTIN,), (BUILTIN,), ()]


def _device(*names: str) -> Node:
    return Node("device", None, {"compatible": b"\0".join(name.encode() for name in names) + b"\0"})


@pytest.mark.parametrize("blob", [b"", b"\0" * 64, compiled(BOARD)[:200], b"\xd0\x0d\xfe\xed" + b"\xff" * 60])
def test_what_is_no_device_tree_is_refused(blob: bytes) -> None:
    with pytest.raises(TreeError):
        read_tree(blob)


def test_an_overlay_that_does_not_fit_is_named(tmp_path: Path) -> None:
    (tmp_path / "base.dtb").write_bytes(compiled(BOARD, "-@"))
    (tmp_path / "other.dtbo").write_bytes(compiled("/dts-v1/; /plugin/; &rp1_gpio { a; };", "-@"))
    with pytest.raises(TreeError, match=r"other\.dtbo does not apply to base\.dtb"):
        with_overlays(tmp_path / "base.dtb", [tmp_path / "other.dtbo"])


REAL = sorted({name for board in BOARDS for name in [board.tree] if not board.is_vendors} | set(ALSO))


@pytest.mark.parametrize("name", REAL)
def test_the_kernels_trees_are_read_as_dtc_reads_them(name: str) -> None:
    blob = real_tree(name).read_bytes()
    written = "/dts-v1/;\n" + _source(read_tree(blob).root)
    assert _sorted(compiled(written, "-f")) == _sorted(blob)


def _source(node: Node) -> str:
    properties = [f"{name}{' = [' + value.hex() + ']' if value else ''};" for name, value in node.properties.items()]
    return f"{node.name or '/'} {{\n" + "\n".join([*properties, *map(_source, node.children)]) + "\n};"


def _sorted(blob: bytes) -> str:
    command = ["dtc", "-q", "-f", "-s", "-I", "dtb", "-O", "dts"]
    done = subprocess.run(command, input=blob, capture_output=True, check=True, timeout=60).stdout.decode()
    return "\n".join(line for line in done.splitlines() if not line.startswith("/memreserve/"))


def test_the_supplies_of_the_real_card_readers_are_found() -> None:
    """Both trees' first faults: a Pi never came to its root without these."""
    wanted = {
        "bcm2711-rpi-4-b.dtb": {"regulator-fixed", "regulator-gpio", "raspberrypi,firmware-gpio"},
        "bcm2712-rpi-5-b.dtb": {"regulator-fixed", "regulator-gpio", "brcm,bcm7445-gpio", "brcm,bcm2712c0-pinctrl"},
        "bcm2712-d-rpi-5-b.dtb": {"regulator-fixed", "regulator-gpio", "brcm,bcm7445-gpio", "brcm,bcm2712d0-pinctrl"},
    }
    for name, names in wanted.items():
        tree = read_tree(real_tree(name).read_bytes())
        found = closure(name, tree, kernel_of([], b""), [role for role in ROLES if role.name == "card"])
        assert names <= {name for step in found.steps for name in step.names}


def test_every_property_on_the_way_is_known() -> None:
    """A property that nobody has looked at may hold a phandle that nobody follows. When this fails after a new kernel:
    look the property up in its binding, and enter it here or in boards/suppliers.py."""
    followed = {*BINDINGS, *PARSED, *NO_LINK, *WAITED_FOR}
    unknown = set()
    for name in REAL:
        tree = read_tree(real_tree(name).read_bytes())
        found = closure(name, tree, kernel_of([], b""))
        for path in {step.path for step in found.steps} & set(tree.by_path):
            names = tree.by_path[path].properties.keys()
            unknown |= {name for name in names if name not in followed and not name.endswith(tuple(SUFFIXES))}
    assert unknown - set(VALUES.split()) == set()


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
"""
