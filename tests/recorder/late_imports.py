# SPDX-License-Identifier: Apache-2.0
"""A separate process: processes one call from its ring to its seal; prints the modules imported after the recorder's
start.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from walk_rig import Walked, Wire

from unit_rig import make_unit

LIFTED_S, DOWN_S, OVER_S = 3.0, 9.0, 14.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir="/dev/shm") as run_dir:
        wires = [Wire(rings=[(1.0, 2.0)], off_hook=[(LIFTED_S, DOWN_S)]), Wire()]
        config = make_unit(Path(folder), Path(run_dir), lines=2).config
        with Walked(config, wires) as unit:
            before = set(sys.modules)
            while unit.frame < OVER_S * 8000:
                unit.turn()
        late = sorted(set(sys.modules) - before)
        sealed = len(list(config.vault_path.glob("[0-9]*/*/*/*/record.json.sig")))
    print(json.dumps({"sealed": sealed, "late": late}))


main()
