# SPDX-License-Identifier: Apache-2.0
"""Finds the suppliers of a device, for which it waits.

`BINDINGS` is the kernel's own table, of_supplier_bindings in drivers/of/property.c (v6.19): properties that hold
phandles, and the supplier's property for the number of cells after each. `WAITED_FOR` has those for which drivers wait
without a link by the kernel's core. The bus of a device is a supplier too.
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
)  # in the kernel's list, with their own functions
NO_LINK = ("post-init-providers",)  # read by the kernel to ignore a link
WAITED_FOR = {  # property: the supplier's property for the number of cells, and further cells
    "mmc-pwrseq": ("", 0),  # drivers/mmc/core/pwrseq.c: -EPROBE_DEFER until it has registered
    "firmware": ("", 0),  # rpi_firmware_get() in soc/bcm/raspberrypi-power.c and gpio-raspberrypi-exp.c: the same
    "i2c-parent": ("", 0),  # drivers/i2c/muxes/i2c-mux-pinctrl.c: -EPROBE_DEFER until its adapter is registered
    "phy-handle": ("", 0),  # net: the PHY that the MAC is connected to
    "gpio-ranges": ("", 3),  # drivers/gpio/gpiolib-of.c: the same, for the pin controller behind the lines
    "msi-ranges": ("#interrupt-cells", 1),  # drivers/irqchip/irq-bcm2712-mip.c: the interrupts that it provides
    "assigned-clocks": ("#clock-cells", 0),  # drivers/clk/clk-conf.c, before the driver's own probe
    "assigned-clock-parents": ("#clock-cells", 0),
}
# A driver waits forever for a disabled supplier of this kind: regulator_dev_lookup() in drivers/regulator/core.c finds
# its node and returns -EPROBE_DEFER, as do gpiolib-of.c and mmc/core/pwrseq.c. Clocks skip a disabled parent.
NEVER_WITHOUT = ("-supply", "gpio", "gpios", "mmc-pwrseq")
CELLS = 4096  # a longer property is no list of suppliers


def suppliers(tree: Tree, device: Node) -> Iterator[tuple[str, Node]]:
    """(reason, supplier) of each device that must be present before this one works.

    Phandles of nodes below it that are no devices themselves (ports, a bus of PHYs) count as its own, as in the kernel.
    TreeError for a phandle without a node.
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
    """The node itself or its nearest ancestor that can have a driver: a group of pins belongs to its controller."""
    return next((one for one in node.lineage() if one.compatible), None)


def _own(device: Node) -> Iterator[Node]:
    """The device and the nodes below it that belong to it. `__symbols__` and similar nodes are only for overlays."""
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
        return []  # the parent's own
    arguments, more = _form(name)
    try:
        return [] if arguments is None else _listed(tree, node.cells(name), arguments, more)
    except KeyError as error:  # the driver gets -EINVAL; drivers/of/base.c, of_phandle_iterator_next()
        raise TreeError(f"{node.path}: {name}: no node has the phandle {error.args[0]:#x}") from None


def _form(name: str) -> tuple[str | None, int]:
    """The supplier's property for the number of cells after its phandle, and the number of further cells; None: no
    phandles.
    """
    if name in WAITED_FOR:
        return WAITED_FOR[name]
    ends = [arguments for end, arguments in SUFFIXES.items() if name.endswith(end) and not name.endswith(",nr-gpios")]
    return BINDINGS.get(name, ends[0] if ends else None), 0


def _listed(tree: Tree, cells: list[int], arguments: str, more: int) -> list[Node]:
    """The suppliers in a property. KeyError for a phandle without a node."""
    found, at = [], 0
    while at < len(cells):
        phandle = cells[at]
        at += 1
        if phandle:  # 0 stands for an omitted one of several
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
    """The suppliers of an interrupt map. Devicetree Specification 2.4.3: the child's unit address and interrupt, the
    controller, and the controller's address and interrupt.
    """
    cells, found, at = node.cells("interrupt-map"), [], 0
    child = node.cell("#address-cells", 2) + node.cell("#interrupt-cells")
    while at + child < len(cells):
        controller = tree.by_phandle.get(cells[at + child])
        if controller is None:
            break
        found.append(controller)
        at += child + 1 + controller.cell("#address-cells") + controller.cell("#interrupt-cells")
    return found
