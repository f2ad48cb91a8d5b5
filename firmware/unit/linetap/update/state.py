# SPDX-License-Identifier: Apache-2.0
"""An update on the disk: the requested version, its progress, and the fault that ended it.

The progress survives a power cut at any moment and the reboot in between. The requested version is a file of the
recorder in the vault, or of the stick. The vault belongs to the recorder and root acts on this file, so it is read as
untrusted input, without following links.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap.config import Config
from linetap_core import plainfile
from linetap_core.durable.smallfile import SmallFile
from linetap_core.errors import BadInput, CodedRefusal
from linetap_core.evidence.digest import Sha256
from linetap_core.records import UpdateState
from linetap_core.wire.hosts import in_url
from linetap_core.wire.updates import LARGEST_BYTES, PATTERN, bundle_name, check_url

STATE = "state.json"

_FILE = SmallFile("update_state", UpdateState, 64 << 10)


def load(folder: Path) -> UpdateState | None:
    """The state; None if there was never an update, or the state is unreadable, which is logged."""
    return _FILE.load_in_place(folder / STATE)


def save(folder: Path, state: UpdateState) -> None:
    """Saves the state. The folder's group, with the recorder, may read the file: the folder is setgid (tmpfiles.d)."""
    _FILE.replace(folder / STATE, state)


# --- The requested version --------------------------------------------------------------------------------------------


WISH = "update.json"  # in the vault
FOLDER = "update"  # beside the vault; owned by root, readable by all
STICK, FROM_STICK, FETCHED = "stick.json", "stick.raucb", "fetched.raucb"  # in that folder
_LIMIT_BYTES = 4096


class UpdateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A requested version. `size` in bytes. `url` None: the bundle came by stick."""

    version: Annotated[str, Meta(pattern=PATTERN)]
    sha256: Sha256
    size: Annotated[int, Meta(ge=1, le=LARGEST_BYTES)]
    url: Annotated[str, Meta(max_length=1000)] | None = None


REQUEST_FILE = SmallFile("update_wish", UpdateRequest, _LIMIT_BYTES)


def folder_of(config: Config) -> Path:
    return config.vault_path.parent / FOLDER


def usual_url(config: Config, version: str) -> str:
    """The default address: beside the broker, the only host that a unit's network reaches."""
    return f"https://{in_url(config.broker.host)}/linetap/{bundle_name(version)}"


def read_request(path: Path) -> UpdateRequest | None:
    """The request; None if there is none. BadInput if the file is invalid."""
    try:
        with plainfile.opened(path) as file:
            requested = REQUEST_FILE.decode(file.read(_LIMIT_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        why = "a link" if error.errno == errno.ELOOP else error.strerror
        raise BadInput(f"{path}: {why}") from None
    except ValueError as error:
        raise BadInput(f"{path}: {error}") from None
    if requested.url is not None:
        check_url(requested.url)
    return requested


# --- The fault --------------------------------------------------------------------------------------------------------


class UpdateFault(CodedRefusal):
    """The reason for a failed update, with the same `code` as in the alert, the log and docs/update.md."""
