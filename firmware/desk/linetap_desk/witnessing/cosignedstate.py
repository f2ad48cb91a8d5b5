# SPDX-License-Identifier: Apache-2.0
"""What a witness has cosigned last, in two files: FILE and FILE.twin. A witness that forgets cosigns two logs.

So a damaged file is taken from its twin, and so is one that is gone while its twin is there: whoever wants a witness
without a memory takes away both. Where both are damaged they stay, and nothing is cosigned.
"""

from __future__ import annotations

from pathlib import Path

from linetap_core.durable.envelope import Broken
from linetap_core.durable.smallfile import SmallFile
from linetap_core.durable.twin import read_either, replace_both, twin_of
from linetap_core.errors import BadInput

MOST_BYTES = 16 << 20


def load[T](file: SmallFile[dict[str, T]], path: Path) -> dict[str, T]:
    """BadInput for what no witness has written."""
    try:
        if not path.exists() and (kept := file.look(twin_of(path))) is not None:
            file.replace(path, kept)
        return read_either(file, path, stays=True)
    except FileNotFoundError:
        return {}
    except Broken as error:
        text = f"{error}, and so is its twin" if twin_of(path).exists() else str(error)
        raise BadInput(f"{path}: {text}; what this witness has written would be right") from None
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def keep[T](file: SmallFile[dict[str, T]], path: Path, state: dict[str, T]) -> None:
    """On disk, both, when this returns. OSError: each is the old or the new one, and nothing may be cosigned."""
    replace_both(file, path, dict(sorted(state.items())))
