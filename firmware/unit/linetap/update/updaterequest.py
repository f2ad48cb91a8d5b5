# SPDX-License-Identifier: Apache-2.0
"""What version a unit shall have: a file of the recorder's in the vault, or of the stick's; and the folder of the rest.

The vault is the recorder's, and root acts on what lies there: it is read as a stranger's, and followed nowhere.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap.config import Config
from linetap_core.durable.smallfile import SmallFile
from linetap_core.errors import BadInput
from linetap_core.wire.updates import LARGEST_BYTES, PATTERN, bundle_name, check_url

WISH = "update.json"  # in the vault
FOLDER = "update"  # beside the vault; root's, and everybody's to read
STICK, FROM_STICK, FETCHED = "stick.json", "stick.raucb", "fetched.raucb"  # in that folder
_LIMIT_BYTES = 4096


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`size` in bytes. `url` None: it came by stick, and lies there."""

    version: Annotated[str, Meta(pattern=PATTERN)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    size: Annotated[int, Meta(ge=1, le=LARGEST_BYTES)]
    url: Annotated[str, Meta(max_length=1000)] | None = None


FILE = SmallFile("update_wish", Wish, _LIMIT_BYTES)


def folder_of(config: Config) -> Path:
    return config.vault_path.parent / FOLDER


def usual_url(config: Config, version: str) -> str:
    """Where an update lies if nothing else is said: beside the broker, which is all that a unit's network reaches."""
    return f"https://{config.broker.host}/linetap/{bundle_name(version)}"


def read(path: Path) -> Wish | None:
    """None: there is none. BadInput: what lies there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = "a link" if error.errno == errno.ELOOP else error.strerror
        raise BadInput(f"{path}: {why}") from None
    try:
        with os.fdopen(fd, "rb") as file:
            wish = FILE.decode(file.read(_LIMIT_BYTES))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: {error}") from None
    if wish.url is not None:
        check_url(wish.url)
    return wish
