# SPDX-License-Identifier: Apache-2.0
"""The two notices that come with linetap, spoken by espeak-ng and imported like any other.

A city hall will record its own voice; these serve until then. The complete legal text takes espeak-ng 12 s, and callers
hang up on that, so the Korean one only states the recording, its reason and its recorder.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from linetap.notices import Notice
from linetap.notices.importer import import_notice
from linetap.ring import RATE_HZ
from linetap_core.errors import BadInput, LinetapError

LONGEST_DEFAULT_S = 6.0
TEXTS = {
    "ko": "이 통화는 민원 업무와 담당자 보호를 위해 녹음됩니다.",
    "en": "This call is recorded for public service and staff protection.",
}
_LIMIT_S = 60


def make_default_notices(folder: Path) -> list[Notice]:
    """Writes `ko` and `en` into `folder`, over older ones. BadInput if espeak-ng is missing or fails."""
    notices = []
    for language, text in TEXTS.items():
        with tempfile.TemporaryDirectory(prefix="linetap-") as spoken:
            path = Path(spoken) / f"{language}.wav"
            _speak(language, text, path)
            notice = import_notice(path, text, folder, replace=True)
        if notice.frames > LONGEST_DEFAULT_S * RATE_HZ:
            raise BadInput(f"espeak-ng's {language} takes {notice.frames / RATE_HZ:.1f} s; at most 6 s expected")
        notices.append(notice)
    return notices


def _speak(language: str, text: str, path: Path) -> None:
    command = ["espeak-ng", "-v", language, "-w", str(path), text]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT_S, check=True)
    except FileNotFoundError:
        raise BadInput("espeak-ng is not installed: `apt install espeak-ng` brings it") from None
    except subprocess.TimeoutExpired:
        raise BadInput(f"espeak-ng did not end within {_LIMIT_S} s") from None
    except subprocess.CalledProcessError as error:
        raise BadInput(f"espeak-ng -v {language}: {error.stderr.decode(errors='replace').strip()}") from None


def main() -> int:
    """`python -m linetap.notices.defaults FOLDER`, for build.sh and the image."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m linetap.notices.defaults FOLDER\n")
        return 2
    try:
        make_default_notices(Path(sys.argv[1]))
    except LinetapError as error:
        sys.stderr.write(f"linetap: {error}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
