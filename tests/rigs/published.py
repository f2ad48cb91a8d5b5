# SPDX-License-Identifier: Apache-2.0
"""Validates every publication of a reporter in the tests against docs/asyncapi.yaml.

`reporter/serve.py` records the messages passed to paho, independent of the broker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.protocols import Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from linetap_core.clock import parse_rfc3339, rfc3339

DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
_JSON = "application/json"
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time")  # type: ignore[untyped-decorator]
def _is_moment(text: object) -> bool:
    """Whether the text is a time in UTC with milliseconds, as everywhere in linetap."""
    try:
        return not isinstance(text, str) or rfc3339(parse_rfc3339(text)) == text
    except ValueError:
        return False


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return found


def at(pointer: str) -> Any:
    """The target of a `#/...` of the document."""
    node: Any = document()
    for part in pointer.removeprefix("#/").split("/"):
        node = node[part]
    return node


@cache
def _schemas() -> Registry[Any]:
    whole = [(path.name, path) for path in (DOCUMENT.parent / "schemas").glob("*.json")]
    resources = [(f"file:///schemas/{name}", json.loads(path.read_text())) for name, path in whole]
    resources.append(("file:///asyncapi.yaml", document()))
    return Registry().with_resources(
        [(uri, Resource.from_contents(contents, DRAFT202012)) for uri, contents in resources]
    )


@cache
def _judge(schema: str) -> Validator:
    """The validator of a schema. `schema`: its name below #/components/schemas. Fields outside the code's type are
    refused here, although the document lets receivers ignore them.
    """
    reference = {"$ref": f"file:///asyncapi.yaml#/components/schemas/{schema}", "unevaluatedProperties": False}
    return Draft202012Validator(reference, registry=_schemas(), format_checker=_FORMATS)


@cache
def channels() -> dict[str, re.Pattern[str]]:
    """Name -> pattern of its topics."""
    return {name: re.compile(_pattern(channel)) for name, channel in document()["channels"].items()}


def _pattern(channel: dict[str, Any]) -> str:
    levels = []
    for level in channel["address"].split("/"):
        said = channel["parameters"].get(level.strip("{}")) if level.startswith("{") else None
        while said and "$ref" in said:
            said = at(said["$ref"])
        levels.append("|".join(said["enum"]) if said and "enum" in said else "[^/]+" if said is not None else level)
    return "/".join(f"(?:{level})" for level in levels)


def channel_of(topic: str) -> str | None:
    return next((name for name, pattern in channels().items() if pattern.fullmatch(topic)), None)


def faults(one: dict[str, Any]) -> Iterator[str]:
    """The faults of a publication, as recorded by serve.py."""
    channel = channel_of(one["topic"])
    if channel is None:
        yield f"{one['topic']}: no such channel"
        return
    operation = next(
        each for each in document()["operations"].values() if each["channel"]["$ref"] == f"#/channels/{channel}"
    )
    if operation["action"] != "send":
        yield f"{one['topic']}: not for a unit to say"
        return
    for fault in _of_message(one, channel, operation["bindings"]["mqtt"]):
        yield f"{one['topic']}: {fault}: {one}"


def _of_message(one: dict[str, Any], channel: str, said: dict[str, Any]) -> Iterator[str]:
    if (one["qos"], one["retain"]) != (said["qos"], said["retain"]):
        yield "qos or retain"
    names = document()["channels"][channel]["messages"]
    properties = dict(one["properties"])
    if not one["payload"]:
        if "nothing" not in names or properties:
            yield "an empty payload"
        return
    messages = [document()["components"]["messages"][name] for name in names.keys() - {"nothing"}]
    kind = properties.get("ContentType")
    message = next((each for each in messages if each.get("contentType", _JSON) == kind), messages[0])
    user = properties.pop("UserProperty", [])
    expected = {"ContentType": message.get("contentType", _JSON)}
    expected |= {"PayloadFormatIndicator": 1} if kind == _JSON else {}
    if expiry_s := said.get("messageExpiryInterval", message.get("x-message-expiry-s")):
        expected["MessageExpiryInterval"] = expiry_s
    if "correlationData" in message["bindings"]["mqtt"]:
        properties.pop("CorrelationData", None)
    if properties != expected or len(dict(user)) != len(user):
        yield "properties"
    judged = [(message["headers"], dict(user))]
    if kind == _JSON:
        judged.append((message["payload"], json.loads(one["payload"])))
    elif len(one["payload"].encode(errors="surrogateescape")) > message["payload"].get("maxLength", 0):
        yield "too long"
    for schema, value in judged:
        judge = _judge(schema["$ref"].rpartition("/")[2])
        yield from (f"{error.json_path}: {error.message}" for error in judge.iter_errors(value))


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a reporter, without a line truncated by a kill."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
