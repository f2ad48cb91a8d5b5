# SPDX-License-Identifier: Apache-2.0
"""Home Assistant's device discovery: one retained message that maps entities to our own topics.

home-assistant.io/integrations/mqtt, "Device discovery payload". Only this message is published for Home Assistant. It
names no command topic, so Home Assistant cannot control the unit. It names lines by number, and contains no call, no
alert's text and no caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, get_args

import msgspec

from linetap_core import __version__
from linetap_core.records import LineStatus
from linetap_core.wire.topics import HEALTH_EXPIRY_S, Topics


class Device(msgspec.Struct, frozen=True, kw_only=True):
    identifiers: list[str]
    name: str
    manufacturer: str = "linetap"
    model: str = "telephone call recorder"
    sw_version: str = __version__


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    name: str = "linetap"
    sw_version: str = __version__


class Component(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entity. `expire_after`: seconds after the last message."""

    platform: Literal["sensor", "binary_sensor"]
    unique_id: str
    default_entity_id: str
    name: str
    state_topic: str
    value_template: str
    device_class: Literal["enum", "problem", "duration"] | None = None
    options: list[LineStatus] | None = None
    unit_of_measurement: str | None = None
    state_class: Literal["measurement"] | None = None
    entity_category: Literal["diagnostic"] | None = None
    expire_after: int | None = None


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    device: Device
    origin: Origin
    availability_topic: str
    availability_template: str
    qos: Annotated[int, msgspec.Meta(ge=0, le=2)]
    components: dict[str, Component]


def discovery(topics: Topics, lines: Iterable[int]) -> Discovery:
    """Returns the payload of a unit with these lines. An entity without `device_class` is a plain number."""
    unit = topics.unit
    health = topics.named("health")

    def component(key: str, platform: Literal["sensor", "binary_sensor"], **fields: object) -> Component:
        about = {
            "unique_id": f"linetap_{unit}_{key}",
            "default_entity_id": f"{platform}.linetap_{unit.replace('-', '_')}_{key}",
        }
        return msgspec.convert({"platform": platform} | about | fields, Component)

    of_health = {"state_topic": health, "expire_after": HEALTH_EXPIRY_S}
    components = {
        f"line_{line}": component(
            f"line_{line}", "sensor", name=f"Line {line}", device_class="enum", options=list(get_args(LineStatus)),
            state_topic=topics.named(f"line/{line}"), value_template="{{ value_json.state }}",
        )
        for line in sorted(lines)
    }  # fmt: skip
    components["problem"] = component(
        "problem", "binary_sensor", name="Recording problem", device_class="problem", **of_health,
        value_template="{{ 'OFF' if value_json.records else 'ON' }}",
    )  # fmt: skip
    components["alerts"] = component(
        "alerts", "sensor", name="Alerts", state_class="measurement", **of_health,
        value_template="{{ value_json.alerts }}",
    )  # fmt: skip
    components["storage"] = component(
        "storage", "sensor", name="Storage left", device_class="duration", unit_of_measurement="d",
        state_class="measurement", entity_category="diagnostic", **of_health,
        value_template="{{ value_json.storage_days_left }}",
    )  # fmt: skip
    return Discovery(
        device=Device(identifiers=[f"linetap_{unit}"], name=unit),
        origin=Origin(),
        availability_topic=topics.named("status"),
        availability_template="{{ value_json.state }}",
        qos=1,
        components=components,
    )
