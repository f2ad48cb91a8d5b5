# SPDX-License-Identifier: Apache-2.0
"""One concept has one home: finds a second spelling of a shared name, number or format in the source.

It reads string and number literals outside docstrings, and calls. Documentation must name the same homes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from linetap_core import absent
from linetap_core.evidence.authorization import commandbody, fetch
from linetap_core.evidence.authorization.command import MAY, Command, CommandFault
from linetap_core.evidence.signing import namespaces
from linetap_core.records import Alert
from linetap_core.wire import topics
from linetap_core.wire.health import Health
from linetap_desk.ingest import outages, pbxdays, register
from linetap_desk.inputs import strict
from linetap_desk.watch import units
from linetap_desk.web.roles import ROLES

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware"
CORE = "core/linetap_core"

NAMESPACES = {value for value in vars(namespaces).values() if isinstance(value, str) and value.startswith("linetap-")}
_NAMESPACE = re.compile(rf"(?<![\w-])({'|'.join(sorted(NAMESPACES))})(?![\w.-])")


@cache
def sources() -> dict[str, ast.Module]:
    """The tree of every module, by its path below firmware/."""
    paths = sorted(FIRMWARE.rglob("*.py"))
    return {str(path.relative_to(FIRMWARE)): ast.parse(path.read_bytes()) for path in paths}


@cache
def nodes() -> dict[str, list[ast.AST]]:
    """All nodes of each module: a walk of the whole source takes half a second, and a dozen tests use it."""
    return {path: list(ast.walk(tree)) for path, tree in sources().items()}


@cache
def literals() -> list[tuple[str, ast.Constant]]:
    """Every literal outside docstrings, with its module, including those within an f-string."""
    prose = {id(node.value) for each in nodes().values() for node in each if isinstance(node, ast.Expr)}
    return [
        (path, node)
        for path, each in nodes().items()
        for node in each
        if isinstance(node, ast.Constant) and id(node) not in prose
    ]


def names_a_namespace(value: object) -> bool:
    return isinstance(value, str) and _NAMESPACE.search(value) is not None


def is_a_file_of_its_own(suffix: str) -> Callable[[object], bool]:
    """Matches a file name, or the end of one; not a pattern of names, a sentence, or the INNER.age of a
    command's help.
    """
    return lambda value: (
        isinstance(value, str)
        and value.endswith(suffix)
        and not {" ", "\\"} & set(value)
        and not value.removesuffix(suffix).isupper()
    )


# Literals with a single permitted module.
LITERALS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "signature namespace": (f"{CORE}/evidence/signing/namespaces.py", names_a_namespace),
    "signature file": (
        f"{CORE}/evidence/signing/namespaces.py",
        lambda value: is_a_file_of_its_own(".sig")(value) and value != "pieeprom.sig",  # the Pi's own, a checksum
    ),
    "age file": (f"{CORE}/evidence/sealing/__init__.py", is_a_file_of_its_own(".age")),
    "command file": (
        f"{CORE}/evidence/authorization/command.py",
        lambda value: is_a_file_of_its_own(".command")(value) and not str(value).startswith("linetap"),  # a module
    ),
    "time stamp": ("desk/linetap_desk/witnessing/timestamp.py", is_a_file_of_its_own(".tsr")),
    "armour": (
        f"{CORE}/evidence/signing/sshsig.py",
        lambda value: isinstance(value, str) and "BEGIN SSH SIGNATURE" in value,
    ),
    "topic prefix": (f"{CORE}/wire/topics.py", lambda value: isinstance(value, str) and value.startswith("linetap/v")),
    "discovery prefix": (f"{CORE}/wire/topics.py", lambda value: value in ("homeassistant", "homeassistant/device/")),
    "name of a unit": (
        f"{CORE}/evidence/signing/unitnames.py",
        lambda value: isinstance(value, str | bytes) and "[a-z0-9-]{1," in str(value),
    ),
    "name of an overflow epoch": (
        f"{CORE}/evidence/sealing/keylist.py",
        lambda value: isinstance(value, str) and re.match(r"overflow-(?!wrap)", value) is not None,
    ),
    "digest as text": (
        f"{CORE}/evidence/digest.py",
        lambda value: isinstance(value, str) and "[0-9a-f]{64}" in value,
    ),
    "service of a card": (f"{CORE}/rundir.py", lambda value: value == "capture@"),
    "standard codec": (f"{CORE}/codecs/mulaw.py", lambda value: value == "mulaw"),
    "standard columns of a PBX": (f"{CORE}/wire/smdrcolumns.py", lambda value: value == "I=in O=out"),
    "suite of a record": (f"{CORE}/records/call.py", lambda value: value == "linetap-1"),
    "copied list of an index": (
        f"{CORE}/evidence/calls/indexhead.py",
        lambda value: isinstance(value, str) and re.match(r"(list|head)-(\Z|\[0-9a-f\]|0{16})", value) is not None,
    ),
    "length of a day": (f"{CORE}/clock.py", lambda value: value in (86_400, 86_400_000, 86_400 * 10**9)),
    "second in ns": (
        f"{CORE}/clock.py",
        lambda value: value == 10**9 and isinstance(value, int),  # a float may be bits in a second
    ),
    "zone of Korea": (f"{CORE}/zones.py", lambda value: value == "Asia/Seoul"),
    "missing program": (f"{CORE}/absent.py", lambda value: isinstance(value, str) and " is not installed" in value),
}


@pytest.mark.parametrize("concept", LITERALS)
def test_a_literal_is_spelled_in_its_home_alone(concept: str) -> None:
    home, is_one = LITERALS[concept]
    found = {f"{path}:{node.lineno}: {node.value!r}" for path, node in literals() if is_one(node.value)}
    assert any(each.startswith(home) for each in found), f"{home} spells no {concept} any more"
    assert not sorted(each for each in found if not each.startswith(home))


def test_the_package_of_each_program_is_in_the_table() -> None:
    """Of every program that a module reports as missing."""
    named = {
        node.args[0].value
        for each in nodes().values()
        for node in each
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") in ("not_installed", "require_program")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert {"age", "openssl", "sigsum-verify", "unsquashfs", "mosquitto"} <= named <= set(absent.PACKAGES)


def test_documentation_names_no_other_namespace() -> None:
    text = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    lists = re.findall(r"namespaces?=\"([^\"]*)\"", text) + re.findall(r"ssh-keygen -Y [^`\n]*? -n ([a-z-]+)", text)
    named = {name for each in lists for name in each.split(",") if name.startswith("linetap-") and "*" not in name}
    assert named >= set(namespaces.BY_UNIT)
    assert named <= NAMESPACES


# The channels of docs/asyncapi.yaml with an example for each parameter, and the code's parse of each.
EXAMPLES = {"unit": "floor-03", "line": "12", "check": "disk_full", "verb": "self_test"}


def test_every_topic_of_the_document_is_read() -> None:
    text = (ROOT / "docs" / "asyncapi.yaml").read_text()
    shapes = [each for each in re.findall(r"address: (\S+)", text) if not each.startswith(topics.HOME_ASSISTANT)]
    kinds = set()
    for shape in shapes:
        found = topics.address(shape.format(**EXAMPLES))
        assert found is not None, shape
        assert topics.Topics(found.unit).named("/".join(filter(None, found[1:]))) == shape.format(**EXAMPLES)
        kinds.add(found.kind)
    assert kinds == set(get_args(topics.Kind.__value__))


@pytest.mark.parametrize(
    "topic", ["linetap/v2/floor-03/call", "linetap/v1/floor-03/line/0", "linetap/v1/floor-03/alert"]
)
def test_another_topic_is_none(topic: str) -> None:
    assert topics.address(topic) is None


def test_a_day_is_divided_nowhere() -> None:
    """Also in the form of factors, 24 * 3600."""
    found = [
        f"{path}:{node.lineno}"
        for path, each in nodes().items()
        for node in each
        if isinstance(node, ast.BinOp)
        and {getattr(each, "value", None) for each in (node.left, node.right)} == {24, 3600}
    ]
    assert not found


def test_a_moment_becomes_nanoseconds_in_one_place() -> None:
    """`.timestamp()` times a number has a float in between, or loses a fraction of a second."""
    found = [
        f"{path}:{node.lineno}: {ast.unparse(node)}"
        for path, each in nodes().items()
        for node in each
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and ".timestamp()" in ast.unparse(node)
    ]
    assert not found


# The zone of a maker's report, of the person's own machine, and UTC of a time printed by a PBX.
OTHER_ZONES = {
    "desk/linetap_desk/bundle/words.py", "desk/linetap_desk/custody/program/holding.py",
    "unit/linetap/recorder/smdr/layouts.py",
}  # fmt: skip


def test_a_zones_own_time_is_made_in_one_place() -> None:
    found = {
        path
        for path, each in nodes().items()
        for node in each
        if isinstance(node, ast.Attribute) and node.attr == "astimezone" and path != f"{CORE}/zones.py"
    }
    assert found == OTHER_ZONES


def test_seconds_become_nanoseconds_in_one_place() -> None:
    """Durations that may have a fraction: `clock.ns_of` rounds them."""
    found = [
        f"{path}:{node.lineno}: {ast.unparse(node)}"
        for path, each in nodes().items()
        for node in each
        if path != f"{CORE}/clock.py" and isinstance(node, ast.Call) and ast.unparse(node.func) in ("round", "int")
        and re.search(r"\* (NS_PER_S|1e9|1000000000\.0)\)$", ast.unparse(node))
    ]  # fmt: skip
    assert not found


# Equal now, but for different things: a change of one would not apply to the other.
ALIKE = {
    "desk/linetap_desk/copy/store.py _begin_of", "unit/linetap/recorder/vault/log/proof.py _read",
    "desk/linetap_desk/pki/command.py run", "desk/linetap_desk/release/command.py run",
    f"{CORE}/evidence/merklelog/closing.py closing_path", f"{CORE}/evidence/witness/tlogproof.py witnessed_path",
    f"{CORE}/durable/copies.py kept_of", f"{CORE}/evidence/signing/namespaces.py beside",
    "desk/linetap_desk/serve/calls/form.py _time", "unit/linetap/recorder/calls/call.py _time",
}  # fmt: skip


def test_a_function_stands_once() -> None:
    """Functions of modules, not methods, with equal parameters and bodies. Short ones may be equal."""
    found: dict[str, list[str]] = {}
    for path, tree in sources().items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and f"{path} {node.name}" not in ALIKE:
                body = node.body[ast.get_docstring(node) is not None :]
                if len(same := "".join(map(ast.dump, [node.args, *body]))) > 380:
                    found.setdefault(same, []).append(f"{path} {node.name}")
    assert not [each for each in found.values() if len(each) > 1]


# Others use `system.lock`, or as a service InstanceLock. The bench's JACK runs only on Linux.
LOCKING = {"bench/linetap_bench/stage/jack.py", f"{CORE}/system.py"}


# Beside the home, plainfile by system: what is written, and rings, in which a FIFO is read too.
NO_FOLLOWING = {
    f"{CORE}/system.py", "unit/linetap/recorder/vault/retention/destruction.py", "unit/linetap/reporter/feed.py",
    "unit/linetap/ring/layout.py", "unit/linetap/ring/reader.py", "unit/linetap/standby.py",
}  # fmt: skip


def test_a_plain_file_is_opened_in_one_place() -> None:
    found = {
        path for path, each in nodes().items() for node in each
        if isinstance(node, ast.Attribute) and node.attr == "O_NOFOLLOW" and path.startswith(("core/", "unit/"))
    }  # fmt: skip
    assert found == NO_FOLLOWING, "linetap_core.plainfile refuses links, FIFOs, folders and devices"


def test_a_file_is_locked_in_one_place() -> None:
    found = {
        path for path, each in nodes().items()
        for node in each if isinstance(node, ast.Attribute) and node.attr in ("flock", "lockf", "locking")
    }  # fmt: skip
    assert found == LOCKING


# One is a copy of an error in another process, one the file of its own log.
NAMING = {
    f"{CORE}/errors.py", "desk/linetap_desk/vaultproofs/verifylog.py", "unit/linetap/recorder/replay/vaultserver.py",
}  # fmt: skip


def test_the_file_of_an_error_is_named_in_one_place() -> None:
    found = {
        path for path, each in nodes().items()
        for node in each if isinstance(node, ast.Attribute) and re.fullmatch(r"error\.filename2?", ast.unparse(node))
    }  # fmt: skip
    assert found == NAMING


def test_zone_data_is_read_in_one_place() -> None:
    """Elsewhere Korea would have no zone on a machine with damaged data."""
    found = [
        f"{path}:{node.lineno}"
        for path, each in nodes().items()
        if path != f"{CORE}/zones.py"
        for node in each
        if isinstance(node, ast.Call) and "ZoneInfo" in ast.unparse(node.func).split(".")
    ]
    assert not found


def test_who_reads_x509_names_all_its_exceptions() -> None:
    """Four of them are no ValueError: a traceback, or a service that ends."""
    readers = {
        path
        for path, each in nodes().items()
        for node in each
        if isinstance(node, ast.Attribute) and re.match(r"load_(pem|der)_x509_", node.attr)
    }
    named = {
        path
        for path, each in nodes().items()
        for node in each
        if isinstance(node, ast.ExceptHandler) and node.type is not None and "UNREADABLE" in ast.unparse(node.type)
    }
    assert readers
    assert not readers - named


def test_sets_of_the_desks_roles_are_made_of_named_ones() -> None:
    found = {
        path
        for path, each in nodes().items()
        if path.startswith("desk/")
        for node in each
        if isinstance(node, ast.Set) and set(ROLES) & {getattr(one, "value", None) for one in node.elts}
    }
    assert found == {"desk/linetap_desk/web/roles.py"}


READ_AT_THE_DESK: list[tuple[type[msgspec.Struct], type[msgspec.Struct]]] = [
    (strict.Status, topics.Status), (units.Line, topics.LineReport),
    (units.Alert, Alert), (register.KeptAlert, Alert),
    (units.ShownHealth, Health), (register.OutboxHealth, Health), (outages.RecordingHealth, Health),
    (pbxdays.PbxHealth, Health),
]  # fmt: skip


@pytest.mark.parametrize(("at_the_desk", "published"), READ_AT_THE_DESK)
def test_the_desk_reads_no_field_that_no_unit_publishes(
    at_the_desk: type[msgspec.Struct], published: type[msgspec.Struct]
) -> None:
    assert set(at_the_desk.__struct_fields__) <= set(published.__struct_fields__)


def test_each_part_of_a_health_that_the_desk_reads_is_held_against_the_units() -> None:
    found = [
        node.name for path, each in nodes().items() if path.startswith("desk/")
        for node in each if isinstance(node, ast.ClassDef) and node.name.endswith("Health")
    ]  # fmt: skip
    assert sorted(found) == sorted(mine.__name__ for mine, published in READ_AT_THE_DESK if published is Health)


DURABLE = f"{CORE}/durable/files.py"


def test_durable_replacing_has_two_names() -> None:
    """Other modules may have methods of these names that call these functions."""
    found = {
        (path, node.name)
        for path, tree in sources().items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and re.search(r"(replace|write)_(\w+_)?(durabl|atomic|in_ram)", node.name)
    }
    assert found == {(DURABLE, "replace_durably"), (DURABLE, "replace_in_ram")}


# Modules with their own rename and sync: SQLite's files move together, and the journal has its own writer.
RENAMING = {
    ("desk/linetap_desk/rebuild/newdatabase.py", "swap"),
    ("unit/linetap/recorder/vault/journal/store.py", "_open"),
    ("unit/linetap/recorder/vault/journal/recovery.py", "_move_unopenable"),
}


def test_a_rename_is_made_durable_in_one_place() -> None:
    """A rename with its own sync, in one function: `files.move_durably` does both."""
    found = set()
    for path, each in nodes().items():
        for function in each:
            if path.startswith(f"{CORE}/durable/") or not isinstance(function, ast.FunctionDef):
                continue
            called = {
                node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
                for node in ast.walk(function)
                if isinstance(node, ast.Call)
            }
            if called & {"rename", "renames"} and called & {"fsync", "fdatasync", "sync_directory"}:
                found.add((path, function.name))
    assert found <= RENAMING, found - RENAMING


def test_the_pattern_of_a_field_takes_no_line_break_at_its_end() -> None:
    """Python's `$` permits one after it; a pattern ends in \\Z."""
    found = []
    for path, each in nodes().items():
        for call in each:
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Meta":
                patterns = (ast.unparse(word.value) for word in call.keywords if word.arg == "pattern")
                found += [f"{path}:{call.lineno}: {one}" for one in patterns if one.rstrip("\"'").endswith("$")]
    assert not found


def test_keygen_unit_is_spelled_once() -> None:
    """Desk and unit both have the command; the core makes, writes and prints the key in a file."""
    home = f"{CORE}/keygenunit.py"
    makers = {
        path for path, each in nodes().items()
        for node in each if isinstance(node, ast.Attribute) and node.attr == "unit_key_file"
    }  # fmt: skip
    assert home in makers
    assert not {path for path in makers if path.endswith("commission/keygenunit.py")}


BODY_READERS = {f"{CORE}/evidence/authorization/commandbody.py", f"{CORE}/evidence/authorization/fetch.py"}


def test_the_body_of_a_command_is_read_and_made_as_a_type() -> None:
    """`.body["x"]` and `.body.get("x")` extract texts of a command; only the types may do so."""
    found = [
        f"{path}:{node.lineno}: {ast.unparse(node)}"
        for path, each in nodes().items()
        if path not in BODY_READERS
        for node in each
        if isinstance(node, ast.Subscript | ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "body"
    ]
    assert not [each for each in found if not each.startswith("unit/linetap/ring/")]
    assert commandbody.BODIES.keys() | {fetch.VERB} == MAY.keys()


# Texts signed by desks since version 0.1, byte for byte.
SIGNED: list[tuple[str, commandbody.Body, dict[str, str]]] = [
    ("identify", commandbody.Identify(seconds=120), {"seconds": "120"}),
    ("self_test", commandbody.SelfTest(), {}),
    ("time", commandbody.Time(challenge="5f", utc="2026-11-24T22:56:00.000Z"),
     {"challenge": "5f", "utc": "2026-11-24T22:56:00.000Z"}),
    ("roles", commandbody.Document(document="{}", sig="x"), {"document": "{}", "sig": "x"}),
    ("hold", commandbody.Hold(document="{}", sig="x", key_age=b"age"),
     {"document": "{}", "sig": "x", "key_age": "YWdl"}),
    ("config", commandbody.Config(document="a", replaces="b"), {"document": "a", "replaces": "b"}),
    ("confirm", commandbody.Weakening(weakening="a"), {"weakening": "a"}),
    ("learn", commandbody.Learn(walk="5f" * 32), {"walk": "5f" * 32}),
    ("learn", commandbody.Learn(), {}),
    ("update", commandbody.Update(version="0.2.0", sha256="a", size=7),
     {"version": "0.2.0", "sha256": "a", "size": "7"}),
    ("ack", commandbody.Ack(origin="a", through=9), {"origin": "a", "through": "9"}),
    ("ack", commandbody.Ack(origin="a", vault="v", through=9, number="1", before="", head="h", sig="s"),
     {"origin": "a", "vault": "v", "through": "9", "number": "1", "before": "", "head": "h", "sig": "s"}),
    ("resend", commandbody.Resend(origin="a", first=1, last=9), {"origin": "a", "from": "1", "to": "9"}),
]  # fmt: skip


def a_command(verb: str, body: dict[str, str]) -> Command:
    return Command(unit="floor-03", verb=verb, role="desk", counter=1, expires="2026-11-24T22:56:00.000Z", body=body)


@pytest.mark.parametrize(("verb", "body", "texts"), SIGNED)
def test_both_ends_have_one_form_of_a_body(verb: str, body: commandbody.Body, texts: dict[str, str]) -> None:
    assert body.texts() == texts
    assert commandbody.read(a_command(verb, texts), commandbody.BODIES[verb]) == body


@pytest.mark.parametrize(
    ("verb", "texts"),
    [
        ("identify", {}), ("identify", {"seconds": "0"}), ("identify", {"seconds": "601"}),
        ("identify", {"seconds": "+1"}),
        ("identify", {"seconds": "\u0661"}),
        ("identify", {"seconds": "1", "more": ""}),
        ("self_test", {"more": ""}),
        ("hold", {"document": "", "sig": "", "key_age": "!"}), ("ack", {"origin": "a", "through": "0"}),
        ("resend", {"origin": "a", "from": "1", "to": "1" + "0" * 18}),
        ("update", {"version": "", "sha256": "", "size": ""}), ("learn", {"walk": "5f"}), ("learn", {"line": "1"}),
    ],
)  # fmt: skip
def test_a_body_that_is_none_is_a_fault(verb: str, texts: dict[str, str]) -> None:
    with pytest.raises(CommandFault) as raised:
        commandbody.read(a_command(verb, texts), commandbody.BODIES[verb])
    assert raised.value.code == "command_malformed"
