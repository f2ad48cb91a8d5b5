# SPDX-License-Identifier: Apache-2.0
"""`PYTHONPATH=image python3 -m boards COMMAND`, by image/steps/boot.sh and by hand (docs/raspberry-pi.md).

list      the boards, as Markdown
devices   what a unit uses of one board, by its tree alone, as Markdown
early     the modules of the initramfs, for every board, one a line
modules   those and the root's, likewise
packed    whether an initramfs with these modules brings every board to its root
table     what each board uses, and who takes it, as Markdown
trees     the kernel's trees, under the names that the firmware asks for
start     the firmware's files that config.txt asks for
options   whether the kernel's configuration has what the image wants of it, and what is lost where it has not
card      whether a boot partition has all that the firmware asks for
radio     whether a root has the files that the radio's driver reads
Every fault is one line; with any, the exit status is 1.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from boards import options, radio, rules
from boards.closure import Closure, closure
from boards.kernel import BUILTIN, DRIVERS, Kernel, kernel_of, read_kernel
from boards.models import ALSO, BOARDS, Board, with_tree
from boards.roles import ROLES
from boards.tree import TreeError, with_overlays


def main() -> int:
    parser = argparse.ArgumentParser(prog="boards", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    for name in ("devices", "early", "modules", "packed", "table"):
        command = commands.add_parser(name)
        if name == "devices":
            command.add_argument("board", help="its name in the list")
        else:
            command.add_argument("--modules", type=Path, required=True, help="/lib/modules/VERSION")
            command.add_argument("--kernel", type=Path, required=True)
        command.add_argument("--boot", type=Path, required=True, help="trees and overlays/, as on the boot partition")
        command.add_argument("--config", type=Path, required=True, help="config.txt")
        if name == "packed":
            command.add_argument("order", type=Path, help="the initramfs' list of its modules")
    trees = commands.add_parser("trees")
    trees.add_argument("kernels", type=Path, help="the kernel's folder of trees")
    trees.add_argument("boot", type=Path)
    commands.add_parser("start").add_argument("config", type=Path)
    commands.add_parser("options").add_argument("config", type=Path, help="the kernel's .config")
    commands.add_parser("card").add_argument("card", type=Path)
    wireless = commands.add_parser("radio")
    wireless.add_argument("boot", type=Path, help="with the trees")
    wireless.add_argument("root", type=Path)
    args = parser.parse_args()
    try:
        work = {
            "list": _list,
            "devices": _devices,
            "trees": _trees,
            "start": _start,
            "card": _card,
            "radio": _radio,
            "options": _options,
        }
        faults = work.get(args.command, _closures)(args)
    except (TreeError, OSError) as error:
        faults = [str(error)]
    for fault in faults:
        print(f"boards: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _closures(args: argparse.Namespace) -> list[str]:
    kernel = read_kernel(args.modules, args.kernel)
    found = [_closure(args, board, kernel) for board in with_tree(args.boot)]
    if args.command == "packed":
        packed = [Path(line).name.partition(".ko")[0] for line in args.order.read_text().splitlines()]
        return [fault for one in found for fault in one.faults(packed)]
    if args.command in ("early", "modules"):
        early = args.command == "early"
        for module in sorted(set().union(*(one.modules(early=early) for one in found))):  # none, if all are built in
            print(module)
    else:
        _print_table(found)
    return [fault for one in found for fault in one.faults()]


def _closure(args: argparse.Namespace, board: Board, kernel: Kernel) -> Closure:
    """The closure of all the board's steppings."""
    overlays = args.boot / "overlays"
    config = rules.read_config(args.config.read_text(), board.filters)
    names = [rules.mapped(overlays, name, board) for name in config.all("dtoverlay")]
    found = Closure(board.name)
    for patch in board.patches:
        laid = [*([patch] if patch else []), *names]
        tree = with_overlays(args.boot / board.asked[0], [overlays / f"{name}.dtbo" for name in laid])
        found.add(closure(board.name, tree, kernel))
    return found


def _list(_: argparse.Namespace) -> list[str]:
    print("| Board | Tree that the firmware asks for | The firmware lays over it | Kernels with that tree |")
    print("|---|---|---|---|")
    for board in BOARDS:
        patches = " or ".join(f"overlays/{patch}.dtbo" if patch else "nothing" for patch in board.patches)
        kernels = "Raspberry Pi's" if board.is_vendors else "Debian's, Raspberry Pi's"
        print(f"| {board.name} | {', '.join(board.asked)} | {patches} | {kernels} |")
    return []


def _devices(args: argparse.Namespace) -> list[str]:
    board = next((one for one in BOARDS if one.name == args.board), None)
    if board is None:
        return [f"there is no board {args.board}"]
    steps = _closure(args, board, kernel_of([], b"")).steps
    print(f"| | {board.name} |\n|---|---|")
    for role in ROLES:
        # Enumerated devices have no node: they are in ROLES, the same for each board.
        names = sorted({step.names[0] for step in steps if step.role == role.name and step.names[0] not in DRIVERS})
        if names or role.kinds:
            print(f"| {role.name} | {', '.join(names) or '**none**'} |")
    return []


def _print_table(found: list[Closure]) -> None:
    played = {step.role for one in found for step in one.steps}
    roles = [role.name for role in ROLES if role.name in played]
    print("| | " + " | ".join(one.board for one in found) + " |")
    print("|---" * (len(found) + 1) + "|")
    for role in roles:
        cells = []
        for one in found:
            steps = [step for step in one.steps if step.role == role]
            modules = sorted({taker for step in steps if BUILTIN not in step.takers for taker in step.takers})
            missing = [step.path for step in steps if not step.takers]
            cells.append(
                ", ".join(modules + [f"**none: {path}**" for path in missing]) or ("built in" if steps else "none")
            )
        print(f"| {role} | " + " | ".join(cells) + " |")
    without = [board.name for board in BOARDS if board.name not in {one.board for one in found}]
    print(f"\nThis kernel has no tree for, and so does not start on: {', '.join(without) or 'none'}.")


def _trees(args: argparse.Namespace) -> list[str]:
    """The tree files. The vendor's kernel names a tree as its firmware does; some of mainline's have another name."""
    for tree, names in [(board.tree, board.asked) for board in BOARDS] + list(ALSO.items()):
        for source in [name for name in (names[0], tree) if (args.kernels / name).is_file()][:1]:
            for name in names:
                shutil.copyfile(args.kernels / source, args.boot / name)
    missing = [board for board in with_tree(args.boot) if not (args.boot / board.asked[0]).is_file()]
    return [f"{board.name}: the kernel has no {board.tree}" for board in missing]


def _start(args: argparse.Namespace) -> list[str]:
    print(*rules.all_start_files(args.config.read_text()), sep="\n")
    return []


def _options(args: argparse.Namespace) -> list[str]:
    text = args.config.read_text()
    for line in options.lost(text):
        print(line)
    return options.faults(text)


def _card(args: argparse.Namespace) -> list[str]:
    return rules.faults(args.card)


def _radio(args: argparse.Namespace) -> list[str]:
    return radio.faults(args.boot, args.root)


if __name__ == "__main__":
    sys.exit(main())
