# SPDX-License-Identifier: Apache-2.0
"""Mosquitto on this server: the shipped files (docs/broker.md), with the names of this desk in its acl."""

from __future__ import annotations

from linetap_core.errors import BadInput
from linetap_desk.setup import places
from linetap_desk.setup.certificates import Report
from linetap_desk.setup.machine import write_file

_FILES = {"linetap.conf": "linetap.conf", "city.conf": "linetap_city.conf"}  # shipped -> in conf.d
_LIMITS = places.MOSQUITTO.parent / "systemd/system/mosquitto.service.d/linetap.conf"
_MANY_FILES = b"# Two files for each unit, and more for their desks: docs/broker.md\n[Service]\nLimitNOFILE=8192\n"
_EXAMPLE = "user desk:seoul"  # in the shipped acl
_DOCTOR = """
# `linetap desk doctor`: it hears, and says nothing.
user desk:{name}
topic read linetap/v1/#
"""


def require_broker() -> None:
    if not (places.MOSQUITTO / "conf.d").is_dir():
        raise BadInput("mosquitto is not installed: apt install mosquitto; or name a broker elsewhere by --broker")


def configure_broker(report: Report) -> bool:
    """Returns whether something changed. An acl that is there is a person's, and stays."""
    places.MOSQUITTO_FILES.mkdir(exist_ok=True)
    shipped = places.SHIPPED / "mosquitto"
    changed = False
    for source, name in _FILES.items():
        target = places.MOSQUITTO / "conf.d" / name
        if not target.exists():
            changed |= write_file(target, (shipped / source).read_bytes())
            report(f"{target}: as shipped")
    acl = places.MOSQUITTO_FILES / "acl"
    if not acl.exists():
        changed |= write_file(
            acl, acl_of((shipped / "acl").read_text(encoding="utf-8")).encode(), group="mosquitto", mode=0o640
        )
        report(f"{acl}: desk:{places.INGEST_NAME}, desk:{places.PAGES_NAME} and every unit")
    _LIMITS.parent.mkdir(parents=True, exist_ok=True)
    return write_file(_LIMITS, _MANY_FILES) or changed


def acl_of(shipped: str) -> str:
    """The shipped one with this desk's names."""
    assert _EXAMPLE in shipped
    acl = shipped.replace(_EXAMPLE, f"user desk:{places.INGEST_NAME}")
    return acl + _DOCTOR.format(name=places.DOCTOR_NAME)
