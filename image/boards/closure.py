# SPDX-License-Identifier: Apache-2.0
"""Computes from the used devices of a board all devices that must work for them, and the driver of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from boards.kernel import BUILTIN, Kernel
from boards.roles import ROLES, Role
from boards.suppliers import device_of, suppliers
from boards.tree import Node, Tree

BY_PIN = "auxiliary:reset.gpio"  # drivers/reset/core.c makes a device of reset-gpios, which waits for its own module
NOWHERE = "no node that is enabled"
OTHER_BUSES = ("mmc", "mdio")  # devices on these buses are enumerated by their own numbers: Role.found


@dataclass(frozen=True, slots=True)
class Step:
    """A required device. `why`: the device that waits for it, and the property that makes it wait."""

    role: str
    path: str
    names: tuple[str, ...]
    takers: tuple[str, ...]
    why: str
    is_early: bool


@dataclass(slots=True)
class Closure:
    board: str
    steps: list[Step] = field(default_factory=list)

    def add(self, other: Closure) -> None:
        """Adds the requirements of another stepping of the same board."""
        self.steps += [step for step in other.steps if step not in self.steps]

    def modules(self, *, early: bool) -> set[str]:
        """The modules of all required devices; `early`: only those that the kernel needs to reach the root."""
        steps = [step for step in self.steps if BUILTIN not in step.takers and (step.is_early or not early)]
        return {taker for step in steps for taker in step.takers}

    def faults(self, packed: Iterable[str] | None = None) -> list[str]:
        """The devices without a driver; with `packed`, the modules of an initramfs: those missing on the way to the
        root.
        """
        there = None if packed is None else {BUILTIN, *(name.replace("-", "_") for name in packed)}
        found = []
        for step in self.steps:
            if there is None or step.is_early:
                takers = set(step.takers) if there is None else there & set(step.takers)
                if not takers:
                    where = "the kernel or its modules" if there is None else "the initramfs"
                    names = ", ".join(step.names)
                    found.append(
                        f"{self.board}: {step.role}: {step.path} ({names}), {step.why}: nothing in {where} takes it"
                    )
        return found


def closure(board: str, tree: Tree, kernel: Kernel, roles: Iterable[Role] = ROLES) -> Closure:
    done = Closure(board)
    for role in roles:
        starts = [device for device in tree.devices() if role.plays(device) and not _is_on_other_bus(device)]
        if role.is_needed and not starts:
            done.steps.append(Step(role.name, NOWHERE, role.kinds, (), "a unit needs one", role.is_early))
        _walk(done, role, tree, kernel, starts)
        for alias in role.found if starts or not role.kinds else ():
            done.steps.append(
                Step(role.name, alias, (alias,), kernel.for_alias(alias), "found by its bus", role.is_early)
            )
    return done


def _walk(done: Closure, role: Role, tree: Tree, kernel: Kernel, starts: list[Node]) -> None:
    todo = [(device, "used by a unit") for device in starts]
    seen: set[Node] = set()
    while todo:
        device, why = todo.pop()
        if device not in seen:
            seen.add(device)
            names = tuple(device.compatible)
            takers = kernel.takers(device) if device.is_available() else ()
            done.steps.append(Step(role.name, device.path, names, takers, why, role.is_early))
            by_pin = "reset-gpios" in device.properties and "resets" not in device.properties
            if by_pin and kernel.resets_by_pin:
                takers, why = kernel.for_alias(BY_PIN), f"reset-gpios of {device.path}"
                done.steps.append(Step(role.name, BY_PIN, (BY_PIN,), takers, why, role.is_early))
            for name, supplier in suppliers(tree, device):
                if not _is_on_other_bus(supplier):
                    state = "" if supplier.is_available() else ", and disabled"
                    todo.append((supplier, f"{name} of {device.path}{state}"))


def _is_on_other_bus(device: Node) -> bool:
    bus = device.parent
    if bus is None:
        return False
    return bus.kind in OTHER_BUSES and (bus.kind == "mdio" or device_of(bus) is bus)
