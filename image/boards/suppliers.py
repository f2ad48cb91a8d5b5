# SPDX-License-Identifier: Apache-2.0
"""The suppliers of a device, for which it waits. `BINDINGS` is the kernel's own table of them, of_supplier_bindings in
drivers/of/property.c (v6.19): properties that hold phandles, and the property of the supplier that says how many cells
follow each. `WAITED_FOR` has those for which drivers wait although the kernel's core does not link them. The bus that a
device hangs on is a supplier too.
"""

from __future__ import annotations

from collections.abc import Iterator

from boards.tree import Node, Tree, TreeError

BINDINGS = {
    "clocks": "#clock-cells", "interconnects": "#interconnect-cells", "iommus": "#iommu-cells",
    "mboxes": "#mbox-cells", "io-channels": "#io-channel-cells", "io-backends": "#io-backend-cells",
    "interrupt-parent": "", "dmas": "#dma-cells", "power-domains": "#power-domain-cells",
    "hwlocks": "#hwlock-cells", "extcon": "", "nvmem-cells": "#nvmem-cell-cells", "phys": "#phy-cells",
    "wakeup-parent": "", **{f"pinctrl-{number}": "" for number in range(9)}, "pwms": "#pwm-cells",
    "resets": "#reset-cells", "leds": "", "backlight": "", "panel": "", "msi-parent": "#msi-cells",
    "pses": "#pse-cells", "power-supplies": "", "gpio": "#gpio-cells", "gpios": "#gpio-cells",
    "interrupts-extended": "#interrupt-cells", "access-controllers": "#access-controller-cells",
}  # fmt: skip
SUFFIXES = {"-supply": "", "-gpio": "#gpio-cells", "-gpios": "#gpio-cells"}
PARSED = (
    "interrupts",
    "interrupt-map",
    "iommu-map",
    "remote-endpoint",
)  # in the kernel's list, with functions of their own
NO_LINK = ("post-init-providers",)  # the kernel reads it to ignore a link
WAITED_FOR = {  # and how many cells follow the supplier's own
    "mmc-pwrseq": ("", 0),  # drivers/mmc/core/pwrseq.c: -EPROBE_DEFER until it has registered
    "firmware": ("", 0),  # rpi_firmware_get() in soc/bcm/raspberrypi-power.c and gpio-raspberrypi-exp.c: the same
    "i2c-parent": ("", 0),  # drivers/i2c/muxes/i2c-mux-pinctrl.c: -EPROBE_DEFER until its adapter is there
    "phy-handle": ("", 0),  # net: the PHY that the MAC is connected to
    "gpio-ranges": ("", 3),  # drivers/gpio/gpiolib-of.c: the same, for the pin controller behind the lines
    "msi-ranges": ("#interrupt-cells", 1),  # drivers/irqchip/irq-bcm2712-mip.c: the interrupts that it makes
    "assigned-clocks": ("#clock-cells", 0),  # drivers/clk/clk-conf.c, before the driver's own probe
    "assigned-clock-parents": ("#clock-cells", 0),
}
# A driver waits for ever for one of these that is disabled: regulator_dev_lookup() in drivers/regulator/core.c has
# found its node and says -EPROBE_DEFER, as gpiolib-of.c and mmc/core/pwrseq.c do. Clocks pass a disabled parent over.
NEVER_WITHOUT = ("-supply", "gpio", "gpios", "mmc-pwrseq")
CELLS = 4096  # a property longer than this is no list of suppliers


def suppliers(tree: Tree, device: Node) -> Iterator[tuple[str, Node]]:
    """Why, and what: devices that must be there before this one works. Phandles of nodes below it that are no devices
    themselves (ports, a bus of PHYs) count as its own, as the kernel hands them up. TreeError for a phandle of no node.
    """
    for node in _own(device):
        for name, value in node.properties.items():
            if len(value) <= CELLS and name not in NO_LINK:
                for found in _named(tree, node, name):
                    supplier = device_of(found)
                    if supplier is None or supplier is device:
                        continue
                    if supplier.is_available() or name.endswith(NEVER_WITHOUT):
                        yield name, supplier
    bus = device_of(device.parent) if device.parent else None
    if bus and bus.parent:  # the root node is the board
        yield "bus", bus


def device_of(node: Node) -> Node | None:
    """The node itself or the nearest one above it that a driver can take: a group of pins is its controller's."""
    return next((one for one in node.lineage() if one.compatible), None)


def _own(device: Node) -> Iterator[Node]:
    """The device and the nodes below it that belong to it. `__symbols__` and its like are what overlays go by."""
    yield device
    for child in device.children:
        if not child.compatible and child.is_available() and not child.name.startswith("__"):
            yield from _own(child)


def _named(tree: Tree, node: Node, name: str) -> list[Node]:
    if name == "interrupts":
        return _interrupt_parent(tree, node)
    if name == "interrupt-map":
        return _of_map(tree, node)
    if name == "iommu-map":
        return _at(tree, node.cells(name)[1::4])
    if name == "remote-endpoint":
        ends = _at(tree, node.cells(name))
        return [above for end in ends for above in end.lineage() if above.compatible][:1]
    if name in ("gpio", "gpios") and "gpio-hog" in node.properties:
        return []  # its parent's own
    arguments, more = _form(name)
    try:
        return [] if arguments is None else _listed(tree, node.cells(name), arguments, more)
    except KeyError as error:  # the driver gets -EINVAL of it; drivers/of/base.c, of_phandle_iterator_next()
        raise TreeError(f"{node.path}: {name}: no node has the phandle {error.args[0]:#x}") from None


def _form(name: str) -> tuple[str | None, int]:
    """The supplier's property that says how many cells follow its phandle, and how many more; None: no phandles."""
    if name in WAITED_FOR:
        return WAITED_FOR[name]
    ends = [arguments for end, arguments in SUFFIXES.items() if name.endswith(end) and not name.endswith(",nr-gpios")]
    return BINDINGS.get(name, ends[0] if ends else None), 0


def _listed(tree: Tree, cells: list[int], arguments: str, more: int) -> list[Node]:
    """KeyError for a phandle of no node."""
    found, at = [], 0
    while at < len(cells):
        phandle = cells[at]
        at += 1
        if phandle:  # 0 leaves out one of several
            supplier = tree.by_phandle[phandle]
            found.append(supplier)
            at += more + (supplier.cell(arguments) if arguments else 0)
    return found


def _at(tree: Tree, phandles: list[int]) -> list[Node]:
    return [tree.by_phandle[number] for number in phandles if number in tree.by_phandle]


def _interrupt_parent(tree: Tree, node: Node) -> list[Node]:
    if "interrupts-extended" in node.properties:
        return []
    for above in node.lineage():
        if "interrupt-parent" in above.properties:
            return _at(tree, above.cells("interrupt-parent")[:1])
        if above is not node and {"interrupt-controller", "interrupt-map"} & above.properties.keys():
            return [above]
    return []


def _of_map(tree: Tree, node: Node) -> list[Node]:
    """Devicetree Specification 2.4.3: the child's unit address and interrupt, the controller, and its own two."""
    cells, found, at = node.cells("interrupt-map"), [], 0
    child = node.cell("#address-cells", 2) + node.cell("#interrupt-cells")
    while at + child < len(cells):
        controller = tree.by_phandle.get(cells[at + child])
        if controller is None:
            break
        found.append(controller)
        at += child + 1 + controller.cell("#address-cells") + controller.cell("#interrupt-cells")
    return found
