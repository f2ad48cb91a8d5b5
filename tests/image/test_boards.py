# SPDX-License-Identifier: Apache-2.0
"""A board's requirements are derived from its tree: every supplier on the way, and a fault for each without a driver.

References: dtc reads the same trees; the kernel's own list of properties with phandles (drivers/of/property.c); and the
kernel's own links between the devices of a Pi 4, from its sysfs (tests/hil/test_pi_boots.py).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from boards_rig import (
    BOARD,
    MODULES,
    ROOT,
    compiled,
    entry,
    real_tree,
    small_kernel,
    sorted_source,
    tree_of,
    unknown_properties,
    written_again,
)  # fmt: skip

from boards.closure import BY_PIN, closure
from boards.kernel import BUILTIN, DRIVERS, NO_DRIVERS, kernel_of, read_kernel
from boards.models import ALSO, BOARDS
from boards.roles import ROLES, Role
from boards.suppliers import suppliers
from boards.tree import Node, TreeError, read_tree, with_overlays

CARD = (Role("card", ("mmc",), True, ("mmc:block",)),)


def test_a_card_reader_waits_for_supply_pin_pins_and_power_sequence() -> None:
    found = closure("board", tree_of(BOARD), small_kernel(), CARD)
    assert found.faults() == []
    assert found.modules(early=True) == {"sdhci", "fixed", "gpio_lines", "pinctrl_pins", "clk", "pwrseq"}
    why = {step.path: step.why for step in found.steps}
    assert why["/supply"] == "vmmc-supply of /soc/mmc@6"
    assert why["/soc/pinctrl@3"] == "pinctrl-0 of /soc/gpio@4"
    assert "/soc/dma@5" not in why  # disabled: the kernel does not wait for such a supplier
    assert "/nobody" not in why


def test_a_device_that_is_used_later_has_its_modules_in_the_root_alone() -> None:
    found = closure("board", tree_of(BOARD), small_kernel(), (Role("data", ("mmc",)),))
    assert found.modules(early=True) == set()
    assert found.modules(early=False) == {"sdhci", "fixed", "gpio_lines", "pinctrl_pins", "clk", "pwrseq"}


@pytest.mark.parametrize("module", ["sdhci", "fixed", "gpio_lines", "pinctrl_pins", "clk", "pwrseq"])
def test_each_supplier_without_a_driver_is_a_fault_with_its_path_and_name(module: str) -> None:
    (fault,) = closure("board", tree_of(BOARD), small_kernel(module), CARD).faults()
    name = next(name for name, taker in MODULES.items() if taker == module)
    assert f"({name})" in fault
    assert "nothing in the kernel or its modules takes it" in fault


@pytest.mark.parametrize(("enabled", "path"), [
    ("supply: supply { ", "/supply"), ("sequence: sequence { ", "/sequence"), ("lines: gpio@4 { ", "/soc/gpio@4"),
])  # fmt: skip
def test_a_supply_that_is_disabled_never_comes(enabled: str, path: str) -> None:
    """The kernel's core makes no link to it, but the driver waits for it."""
    board = BOARD.replace(" reset-gpios = <&lines 1 0>;", "")  # the supply's `gpio` is the only pin
    tree = tree_of(board.replace(enabled, f'{enabled}status = "disabled"; '))
    (fault,) = closure("board", tree, small_kernel(), CARD).faults()
    assert f": {path} (" in fault
    assert ", and disabled: nothing in the kernel or its modules takes it" in fault


def test_a_board_without_a_card_reader_is_a_fault() -> None:
    """An overlay that disabled it by mistake once left a board without requirements."""
    roles = [role for role in ROLES if role.name in ("card", "GPIO")]
    tree = tree_of(
        BOARD.replace('compatible = "reader"; interrupts', 'status = "disabled"; compatible = "reader"; interrupts')
    )
    (fault,) = closure("board", tree, small_kernel(), roles).faults()
    assert fault.startswith("board: card: no node that is enabled (mmc), a unit needs one: nothing in the kernel")


@pytest.mark.parametrize("phandle", ["0xffffffff", "0x99"])
@pytest.mark.parametrize("name", ["vmmc-supply = <", "clocks = <", "mmc-pwrseq = <", "dmas = <"])
def test_a_phandle_of_no_node_is_a_fault(name: str, phandle: str) -> None:
    """dtc writes 0xffffffff for an unresolved reference of an overlay."""
    before = next(line for line in BOARD.splitlines() if name in line and "mmc@7" not in line)
    after = re.sub(rf"{name}[^;]*;", f"{name}{phandle}>;", before)
    with pytest.raises(TreeError, match=rf"^/soc/mmc@6: {name.split()[0]}: no node has the phandle {phandle}$"):
        closure("board", tree_of(BOARD.replace(before, after)), small_kernel(), CARD)


def test_suppliers_in_a_circle_come_to_an_end() -> None:
    circle = BOARD.replace(
        'clocks"; #clock-cells', 'clocks"; clocks = <&clocks 1>; vmmc-supply = <&supply>; #clock-cells'
    )
    circle = circle.replace("supply: supply { ", "supply: supply { clocks = <&clocks 2>; ")
    assert closure("board", tree_of(circle), small_kernel(), CARD).faults() == []


@pytest.mark.parametrize(("status", "is_there"), [
    ('status = "okay"', True), ('status = "ok"', True), ('status = "okay", "x"', True), ('status = ""', False),
    ("status", False), ('status = "fail-sss"', False), ('status = "reserved"', False),
])  # fmt: skip
def test_a_status_counts_as_the_kernel_reads_it(status: str, is_there: bool) -> None:
    """__of_device_is_available() in drivers/of/base.c: a missing one is good; otherwise it must be `ok` or `okay`."""
    tree = tree_of(BOARD.replace('compatible = "reader"; interrupts', f'{status}; compatible = "reader"; interrupts'))
    assert ("/soc/mmc@6" in {device.path for device in tree.devices()}) == is_there


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


def test_what_an_overlay_goes_by_names_no_supplier() -> None:
    """`__symbols__` of a Pi's tree: the label `clocks` has the path of its node, which reads as an invalid phandle."""
    tree = tree_of('/dts-v1/; / { clocks { }; __symbols__ { clocks = "/clocks"; }; };')
    assert list(suppliers(tree, tree.by_path["/"])) == []


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


def test_a_kernel_that_does_not_write_down_the_aliases_of_what_is_built_in(tmp_path: Path) -> None:
    """Raspberry Pi's 6.12: a bus's name is mapped to its driver's name, and nothing else counts as built in."""
    (tmp_path / "modules.alias").write_text("# Aliases\n")
    (tmp_path / "modules.builtin.modinfo").write_bytes(b"xhci_pci.license=GPL\0")
    (tmp_path / "vmlinuz").write_bytes(b"")
    pci, nvme = ROLES[1].found
    assert read_kernel(tmp_path, tmp_path / "vmlinuz").for_alias(pci) == ()
    names = ("drivers/usb/host/xhci-pci", "drivers/tty/serial/amba-pl011")
    (tmp_path / "modules.builtin").write_text("".join(f"kernel/{name}.ko\n" for name in names))
    kernel = read_kernel(tmp_path, tmp_path / "vmlinuz")
    assert (kernel.for_alias(pci), kernel.for_alias(nvme)) == ((BUILTIN,), ())
    assert kernel.takers(_device("arm,pl011", "arm,primecell")) == (BUILTIN,)


@pytest.mark.parametrize(("line", "steps"), [
    ("CONFIG_RESET_GPIO=m", 1), ("# CONFIG_RESET_GPIO is not set", 0), (None, 1),
])  # fmt: skip
def test_a_reset_by_a_pin_is_a_device_where_the_kernel_makes_one(tmp_path: Path, line: str | None, steps: int) -> None:
    """Raspberry Pi's 6.12 makes none, and was once refused because of a missing driver."""
    (tmp_path / "modules.alias").write_text("alias auxiliary:reset.gpio reset_gpio\n")
    (tmp_path / "modules.builtin.modinfo").write_bytes(b"")
    (tmp_path / "vmlinuz").write_bytes(b"")
    if line is not None:
        (tmp_path / "config").write_text(f"CONFIG_ARM64=y\n{line}\n")
    kernel = read_kernel(tmp_path, tmp_path / "vmlinuz")
    found = closure("board", tree_of(BOARD), kernel, CARD).steps
    assert len([step for step in found if step.path == BY_PIN]) == steps


def test_a_module_that_is_loaded_by_a_devices_name_and_takes_none_is_no_driver(tmp_path: Path) -> None:
    """Two of the image's own modules match the firmware's node, and once counted as its driver, which may
    be missing.
    """
    sources = [path for path in (ROOT / "image/modules").glob("*.c") if "MODULE_ALIAS(" in path.read_text()]
    assert {path.stem for path in sources} == set(NO_DRIVERS)
    names = "".join(f"alias of:N*T*Cacme,firmwareC* {name}\n" for name in NO_DRIVERS)
    (tmp_path / "modules.alias").write_text(names)
    (tmp_path / "modules.builtin.modinfo").write_bytes(b"")
    (tmp_path / "vmlinuz").write_bytes(b"")
    assert read_kernel(tmp_path, tmp_path / "vmlinuz").takers(_device("acme,firmware")) == ()


def test_each_name_that_a_bus_gives_has_a_driver() -> None:
    assert {alias for role in ROLES for alias in role.found} | {BY_PIN} <= DRIVERS.keys()


def _device(*names: str) -> Node:
    return Node("device", None, {"compatible": b"\0".join(name.encode() for name in names) + b"\0"})


@pytest.mark.parametrize("blob", [b"", b"\0" * 64, compiled(BOARD)[:200], b"\xd0\x0d\xfe\xed" + b"\xff" * 60])
def test_what_is_no_device_tree_is_refused(blob: bytes) -> None:
    with pytest.raises(TreeError):
        read_tree(blob)


def test_a_stick_may_be_in_a_socket_of_any_controller() -> None:
    """A Pi 4 with Raspberry Pi's tree has all its sockets at PCI Express."""
    found = closure("board", tree_of(BOARD), small_kernel())
    assert [step.path for step in found.steps if step.role == "USB stick"] == [
        "usb:v0781p5583d0100dc00dsc00dp00ic08isc06ip50in00", "scsi:t-0x00",
    ]  # fmt: skip


def test_an_overlay_that_does_not_fit_is_named(tmp_path: Path) -> None:
    (tmp_path / "base.dtb").write_bytes(compiled(BOARD, "-@"))
    (tmp_path / "other.dtbo").write_bytes(compiled("/dts-v1/; /plugin/; &rp1_gpio { a; };", "-@"))
    with pytest.raises(TreeError, match=r"other\.dtbo does not apply to base\.dtb"):
        with_overlays(tmp_path / "base.dtb", [tmp_path / "other.dtbo"])


REAL = sorted({name for board in BOARDS for name in [board.tree] if not board.is_vendors} | set(ALSO))


@pytest.mark.parametrize("name", REAL)
def test_the_kernels_trees_are_read_as_dtc_reads_them(name: str) -> None:
    blob = real_tree(name).read_bytes()
    assert written_again(blob) == sorted_source(blob)


def test_the_supplies_of_the_real_card_readers_are_found() -> None:
    """The first faults in both trees: without these a Pi never reached its root."""
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
    """An unknown property may contain a phandle that is not followed. If this fails after a new kernel: look the
    property up in its binding, and enter it in boards_rig.py or in boards/suppliers.py.
    """
    trees = [(name, read_tree(real_tree(name).read_bytes())) for name in REAL]
    assert set().union(*(unknown_properties(name, tree) for name, tree in trees)) == set()


def test_each_board_is_in_the_document() -> None:
    """In its list, and in the table of modules with a column or as one without a tree in Debian's kernel."""
    document = (ROOT / "docs/boards.md").read_text()
    command = [sys.executable, "-m", "boards", "list"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "image")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout in document
    (columns,) = re.findall(r"^\| \| (Pi 4B \| .+) \|$", document, re.MULTILINE)
    (without,) = re.findall(r"no tree for, and so does not start on: (.+)\.$", document, re.MULTILINE)
    assert [*columns.split(" | "), *without.split(", ")] == [board.name for board in BOARDS]
