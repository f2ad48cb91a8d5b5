# SPDX-License-Identifier: Apache-2.0
"""Runs in a file system too small for its call: the vault's thread fills it, waits, and continues when
there is room.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from test_writer import AUDIO, CALL_ID, FIRST, Source, events, opened, public_record, record, started, writer

from linetap.ring import Stretch
from linetap_core.codecs import g711
from linetap_core.evidence.calls import sealed
from unit_rig import make_unit

LOST_UNTIL = 250_000  # overwritten in the ring when there is room again


class ShortRing(Source):
    """A ring in which everything before `oldest` has been overwritten."""

    oldest = 0

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        self.holes = [(first, self.oldest - first, "ring_overtaken")] if first < self.oldest else []
        return super().stretch(line, first, end)


def main(root: Path) -> None:
    unit = make_unit(root, root)
    source = ShortRing()
    vault = writer(unit.config, source)
    old = "20261124T215600.123Z-L01"
    vault.open(old, 1, FIRST)
    vault.close(old, FIRST + 50_000, record(old))
    assert vault.step()
    folder = unit.config.vault_path / sealed.call_path(old)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (root / "other").write_bytes(bytes(200_000))
    vault.report(started())
    vault.open(CALL_ID, 1, FIRST)
    seen: dict[str, object] = {}
    for end in range(FIRST, 250_000, 2000):
        vault.permit(CALL_ID, end)
        if not vault.step():
            break
    seen["refused"] = vault.refused()
    kept = vault.vault.recordings[CALL_ID].position
    vault.close(CALL_ID, 280_000, record())
    seen["nothing_works"] = not vault.step() and not vault.step()
    seen["old_call_untouched"] = before == {path.name: path.read_bytes() for path in folder.iterdir()}
    (root / "other").unlink()
    source.oldest = LOST_UNTIL
    seen["goes_on"] = vault.step() or vault.step()
    seen["refused_now"] = vault.refused()
    expected = AUDIO[FIRST:280_000].copy()
    expected[kept - FIRST : LOST_UNTIL - FIRST] = 0
    seen["audio_is_right"] = bool(np.array_equal(opened(unit), g711.decode(g711.encode(expected))))
    audio = public_record(unit)["audio"]
    assert isinstance(audio, dict)
    seen["gaps"] = audio["gaps"]
    seen["gap_expected"] = [(kept - FIRST) / 8000, (LOST_UNTIL - kept) / 8]
    seen["events"] = events(unit)
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
