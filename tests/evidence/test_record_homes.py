# SPDX-License-Identifier: Apache-2.0
"""A field of a record is public or personal, by its type; nothing else reaches record.json.

An independent validator compares the bytes with docs/schemas. Records are filled from their types, so that they include
future fields.
"""

from __future__ import annotations

import json
import random
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from msgspec import inspect

from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, PersonalRecord, PublicRecord, require_homes

ROOT = Path(__file__).parents[2]
VECTORS = sorted((ROOT / "tests" / "vectors").glob("unit-*.tar.xz"))
CANARY = "01047116328"
SEEDS = range(50)


@cache
def schema(name: str) -> Draft202012Validator:
    contents = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text())
    Draft202012Validator.check_schema(contents)
    return Draft202012Validator(contents)


def filled(kind: inspect.Type, dice: random.Random, text: str) -> Any:
    """A value of a type with all optional parts; every free text in it is `text`."""
    match kind:
        case inspect.UnionType(types=types):
            fit = [one for one in types if not isinstance(one, inspect.NoneType)]
            return filled(dice.choice(fit), dice, text)
        case inspect.StructType(fields=fields):
            return {field.encode_name: filled(field.type, dice, text) for field in fields}
        case inspect.IntType():
            return dice.choice((0, 1, 7))
        case inspect.FloatType():
            return dice.choice((0.0, 1.5))
        case inspect.BoolType():
            return dice.random() < 0.5
        case inspect.StrType():
            return text
        case inspect.LiteralType(values=values):
            return dice.choice(values)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return [filled(item, dice, text) for _ in range(2)]
        case inspect.DictType(value_type=value):
            return {"audio.001.age": filled(value, dice, text)}
        case _:
            raise AssertionError(f"a record holds {kind}, which this test does not know how to fill")


def a_record(seed: int) -> CallRecord:
    """Public fields have public values, personal ones the canary."""
    dice = random.Random(seed)
    public = filled(inspect.type_info(PublicRecord), dice, "public")
    personal = filled(inspect.type_info(PersonalRecord), dice, CANARY)
    return msgspec.convert(public | personal, CallRecord)


@pytest.mark.parametrize("seed", SEEDS)
def test_record_json_is_the_public_half_and_nothing_else(seed: int) -> None:
    record = a_record(seed)
    data = sealed.public_json(record)
    assert list(schema("PublicRecord").iter_errors(json.loads(data))) == []
    assert CANARY.encode() not in data
    assert sealed.whole_json(record).count(CANARY.encode()) >= len(PersonalRecord.__struct_fields__)
    assert msgspec.json.decode(data, type=PublicRecord) == record.public()
    assert list(json.loads(data)) == sorted(json.loads(data)), "keys in order, as ever"


def test_a_field_that_nobody_declared_public_is_refused_by_the_schema() -> None:
    record = json.loads(sealed.public_json(a_record(1)))
    assert list(schema("PublicRecord").iter_errors(record)) == []
    for name in PersonalRecord.__struct_fields__:
        assert list(schema("PublicRecord").iter_errors({**record, name: CANARY}))
    assert list(schema("PublicRecord").iter_errors({**record, "caller_address": "Seoul"}))
    record["notice"]["heard_by"] = CANARY
    assert list(schema("PublicRecord").iter_errors(record)), "nor one further in"


def test_a_field_belongs_to_one_and_the_whole_has_no_field_of_its_own() -> None:
    public, personal = {*PublicRecord.__struct_fields__}, {*PersonalRecord.__struct_fields__}
    assert public & personal == set()
    assert public | personal == {*CallRecord.__struct_fields__}


def test_a_whole_record_that_is_not_both_halves_is_no_type() -> None:
    public = msgspec.defstruct("Public", [("line", int)])
    personal = msgspec.defstruct("Personal", [("caller", str, "")])
    require_homes(msgspec.defstruct("Whole", [("line", int), ("caller", str, "")]), public, personal)
    wrong: list[list[Any]] = [
        [("line", int), ("caller", str, ""), ("address", str, "")],  # in no type
        [("line", int)],  # one is missing
        [("line", int), ("caller", int, "")],  # another type
    ]
    for fields in wrong:
        with pytest.raises(TypeError, match=r"address|caller"):
            require_homes(msgspec.defstruct("Whole", fields), public, personal)
    both = msgspec.defstruct("Both", [("line", int), ("caller", str, "")])
    with pytest.raises(TypeError, match="one of the two"):
        require_homes(both, both, personal)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda path: path.stem)
def test_records_of_earlier_versions_fit_the_schema(vector: Path) -> None:
    """It requires no field that they lack: a missing one was not known then."""
    found = 0
    with tarfile.open(vector) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(f"/{sealed.RECORD}"):
                file = archive.extractfile(member)
                assert file is not None
                assert list(schema("PublicRecord").iter_errors(json.loads(file.read()))) == []
                found += 1
    assert found
