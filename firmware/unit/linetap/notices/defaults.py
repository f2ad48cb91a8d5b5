# SPDX-License-Identifier: Apache-2.0
"""The shipped notices, spoken by espeak-ng and imported like any other.

A city hall will record its own voice; these serve until then. A notice with which a site has replaced one of them is
kept: `shipped.sha256` lists those made here, for `sha256sum -c`, and a file that differs from it is the site's.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from linetap.notices import Notice, load_notice
from linetap.notices.importer import import_notice
from linetap.notices.shipped import SHIPPED, Words
from linetap.ring import RATE_HZ
from linetap_core import absent
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, LinetapError

MADE = "shipped.sha256"
_LIMIT_S = 60
_READABLE = 0o644


def make_default_notices(folder: Path, names: Collection[str] = tuple(SHIPPED)) -> list[Notice]:
    """Writes the notices `names` into `folder`, over older ones of linetap's but not over a site's own. Returns all of
    them as they now are. BadInput if espeak-ng is missing or fails.
    """
    made = _made(folder)
    notices = []
    for name in names:
        path = folder / f"{name}.wav"
        if path.exists() and made.get(path.name) != _sha256(path):
            notices.append(load_notice(path))
            continue
        notices.append(_make(name, SHIPPED[name], folder))
        made[path.name] = _sha256(path)
        lines = "".join(f"{digest}  {file}\n" for file, digest in sorted(made.items()))
        replace_durably(folder / MADE, lines.encode(), mode=_READABLE)
    return notices


def _make(name: str, words: Words, folder: Path) -> Notice:
    with tempfile.TemporaryDirectory(prefix="linetap-") as spoken:
        path = Path(spoken) / f"{name}.wav"
        _speak(words, path)
        notice = import_notice(path, words.text, folder, replace=True)
    if notice.frames > words.longest_s * RATE_HZ:
        raise BadInput(
            f"espeak-ng's {name} takes {notice.frames / RATE_HZ:.1f} s; at most {words.longest_s:g} expected"
        )
    return notice


def _made(folder: Path) -> dict[str, str]:
    """File -> SHA-256 of the notices made here."""
    try:
        lines = (folder / MADE).read_text().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{folder / MADE}: {error}; without this file all notices there count as the site's") from None
    return {words[1]: words[0] for line in lines if len(words := line.split()) == 2}


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def _speak(words: Words, path: Path) -> None:
    how = ["-v", words.language, "-p", str(words.pitch), "-s", str(words.words_a_minute)]
    command = ["espeak-ng", *how, "-w", str(path), words.text]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT_S, check=True)
    except FileNotFoundError:
        raise BadInput(absent.not_installed("espeak-ng")) from None
    except subprocess.TimeoutExpired:
        raise BadInput(f"espeak-ng did not end within {_LIMIT_S} s") from None
    except subprocess.CalledProcessError as error:
        raise BadInput(f"espeak-ng -v {words.language}: {error.stderr.decode(errors='replace').strip()}") from None


def main() -> int:
    """`python -m linetap.notices.defaults FOLDER`, for build.sh and the image."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m linetap.notices.defaults FOLDER\n")
        return 2
    try:
        folder = Path(sys.argv[1])
        make_default_notices(folder)
        for path in sorted(folder.glob("*.wav")):
            if _made(folder).get(path.name) != _sha256(path):
                sys.stdout.write(f"{path}: the site's own, kept\n")
    except LinetapError as error:
        sys.stderr.write(f"linetap: {error}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
