# SPDX-License-Identifier: Apache-2.0
"""Where the files of a desk's server lie and whose they are, as the package linetap-desk and its units have them."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path("/etc/linetap-desk")
CONFIG = FOLDER / "desk.toml"
STATE = Path("/var/lib/linetap-desk")
OUTGOING, HOLDS = STATE / "outgoing", STATE / "holds"  # the pages write there, and the ingest reads
PAGES_STATE = Path("/var/lib/linetap-pages")
MOSQUITTO = Path("/etc/mosquitto")
MOSQUITTO_FILES = MOSQUITTO / "linetap"
SHIPPED = Path("/usr/share/linetap-desk")
PKI = Path("/root/linetap-pki")
COPY = Path("/srv/linetap-copy")

DESK, PAGES = "linetap-desk", "linetap-pages"  # the users of ingest and pages; the second is in the first's group
BROKER_UNIT, INGEST_UNIT, PAGES_UNIT = "mosquitto.service", "linetap-ingest.service", "linetap-serve.service"
PORT, PAGES_PORT = 8883, 8443
DATABASES = ("sqlite", "postgresql")
LOOPBACK = "127.0.0.1"
# Names at the broker, in the shipped acl and in its certificates: `desk:ingest`.
INGEST_NAME, PAGES_NAME, DOCTOR_NAME = "ingest", "pages", "doctor"
# The keys that must be readable by one user alone -> that user.
KEYS = {
    "desk.key": DESK, "ingest-tls.key": DESK, "serve-log.key": PAGES, "serve-tls.key": PAGES, "pages-tls.key": PAGES,
    "doctor-tls.key": "root",
}  # fmt: skip
