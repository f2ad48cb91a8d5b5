# SPDX-License-Identifier: Apache-2.0
"""Prints KiCad's own reading of the named board as JSON. Runs in Debian's Python, which has KiCad's module."""

from __future__ import annotations

import json
import sys
from typing import Any

import pcbnew


def main(path: str) -> dict[str, Any]:
    board, mm = pcbnew.LoadBoard(path), pcbnew.ToMM
    tracks = [
        [
            each.GetNetname(),
            "" if isinstance(each, pcbnew.PCB_VIA) else each.GetLayerName(),
            *(mm(part) for end in (each.GetStart(), each.GetEnd()) for part in (end.x, end.y)),
            mm(each.GetWidth(pcbnew.F_Cu) if isinstance(each, pcbnew.PCB_VIA) else each.GetWidth()),
        ]
        for each in board.GetTracks()
    ]
    pads = []
    for pad in board.GetPads():
        if pad.GetAttribute() != pcbnew.PAD_ATTRIB_NPTH and pad.IsOnCopperLayer():
            box, middle = pad.GetBoundingBox(), pad.GetPosition()
            named = (pad.GetParentFootprint().GetReference(), pad.GetNumber(), pad.GetNetname())
            pads.append([*named, *map(mm, (middle.x, middle.y, box.GetWidth(), box.GetHeight()))])
    areas = []
    for zone in board.Zones():
        for layer in zone.GetLayerSet().Seq():
            filled = zone.GetFilledPolysList(layer)
            for i in range(filled.OutlineCount()):
                outline = filled.Outline(i)
                corners = [[mm(outline.CPoint(j).x), mm(outline.CPoint(j).y)] for j in range(outline.PointCount())]
                areas.append([zone.GetNetname(), board.GetLayerName(layer), corners])
    return {"tracks": tracks, "pads": pads, "areas": areas}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
