# SPDX-License-Identifier: Apache-2.0
"""Upright prisms as a STEP file of AP214 (ISO 10303-21), which KiCad shows and exports. Lengths in mm, y up.

Faces are flat and their corners shared (faceted_brep), so a cylinder is a prism of many sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

Corner = tuple[float, float]
Colour = tuple[float, float, float]  # red, green, blue, 0 to 1

HEAD = """ISO-10303-21;
HEADER;
FILE_DESCRIPTION((''),'2;1');
FILE_NAME('{}','',(''),(''),'','','');
FILE_SCHEMA(('AUTOMOTIVE_DESIGN'));
ENDSEC;
DATA;
"""
UNITS = (
    "(LENGTH_UNIT() NAMED_UNIT(*) SI_UNIT(.MILLI.,.METRE.))",
    "(NAMED_UNIT(*) PLANE_ANGLE_UNIT() SI_UNIT($,.RADIAN.))",
    "(NAMED_UNIT(*) SI_UNIT($,.STERADIAN.) SOLID_ANGLE_UNIT())",
)
CONTEXT = (
    "(GEOMETRIC_REPRESENTATION_CONTEXT(3) GLOBAL_UNCERTAINTY_ASSIGNED_CONTEXT(({})) "
    "GLOBAL_UNIT_ASSIGNED_CONTEXT(({})) REPRESENTATION_CONTEXT('',''))"
)


@dataclass(frozen=True, slots=True)
class Prism:
    """A prism. `outline` runs counter-clockwise, seen from above; no corner is repeated."""

    outline: tuple[Corner, ...]
    bottom: float
    top: float
    colour: Colour


class _File:
    """A STEP file; each entity is written once and referenced."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}

    def add(self, entity: str) -> str:
        return f"#{self._number.setdefault(entity, len(self._number) + 1)}"

    def point(self, x: float, y: float, z: float) -> str:
        return self.add(f"CARTESIAN_POINT('',({_real(x)},{_real(y)},{_real(z)}))")

    def direction(self, x: float, y: float, z: float) -> str:
        return self.add(f"DIRECTION('',({_real(x)},{_real(y)},{_real(z)}))")

    def frame(self, at: str, normal: str, across: str) -> str:
        return self.add(f"AXIS2_PLACEMENT_3D('',{at},{normal},{across})")

    def face(self, corners: list[str], normal: str, across: str) -> str:
        loop = self.add(f"POLY_LOOP('',({','.join(corners)}))")
        plane = self.add(f"PLANE('',{self.frame(corners[0], normal, across)})")
        bound = self.add(f"FACE_OUTER_BOUND('',{loop},.T.)")
        return self.add(f"FACE_SURFACE('',({bound}),{plane},.T.)")

    def text(self, name: str) -> str:
        lines = (f"#{number}={entity};\n" for entity, number in self._number.items())
        return HEAD.format(name) + "".join(lines) + "ENDSEC;\nEND-ISO-10303-21;\n"


def text(name: str, prisms: list[Prism]) -> str:
    file = _File()
    shape, context = _product(file, name)
    solids = [_solid(file, each) for each in prisms]
    styles = [_styled(file, solid, each.colour) for solid, each in zip(solids, prisms, strict=True)]
    origin = file.frame(file.point(0, 0, 0), file.direction(0, 0, 1), file.direction(1, 0, 0))
    rows = ",".join([origin, *solids])
    form = file.add(f"FACETED_BREP_SHAPE_REPRESENTATION('',({rows}),{context})")
    file.add(f"SHAPE_DEFINITION_REPRESENTATION({shape},{form})")
    looks = f"({','.join(styles)})"
    file.add(f"MECHANICAL_DESIGN_GEOMETRIC_PRESENTATION_REPRESENTATION('',{looks},{context})")
    return file.text(name)


def _product(file: _File, name: str) -> tuple[str, str]:
    """The product of the shape, and its units."""
    application = file.add("APPLICATION_CONTEXT('automotive design')")
    protocol = "'international standard','automotive_design',2000"
    file.add(f"APPLICATION_PROTOCOL_DEFINITION({protocol},{application})")
    context = file.add(f"PRODUCT_CONTEXT('',{application},'mechanical')")
    product = file.add(f"PRODUCT('{name}','{name}','',({context}))")
    formation = file.add(f"PRODUCT_DEFINITION_FORMATION('','',{product})")
    design = file.add(f"PRODUCT_DEFINITION_CONTEXT('part definition',{application},'design')")
    definition = file.add(f"PRODUCT_DEFINITION('design','',{formation},{design})")
    shape = file.add(f"PRODUCT_DEFINITION_SHAPE('','',{definition})")
    units = [file.add(each) for each in UNITS]
    near = file.add(f"UNCERTAINTY_MEASURE_WITH_UNIT(LENGTH_MEASURE(1.E-6),{units[0]},'distance_accuracy_value','')")
    return shape, file.add(CONTEXT.format(near, ",".join(units)))


def _solid(file: _File, prism: Prism) -> str:
    low = [file.point(x, y, prism.bottom) for x, y in prism.outline]
    high = [file.point(x, y, prism.top) for x, y in prism.outline]
    up, down, across = file.direction(0, 0, 1), file.direction(0, 0, -1), file.direction(1, 0, 0)
    faces = [file.face(high, up, across), file.face(low[::-1], down, across)]
    for i, (x, y) in enumerate(prism.outline):
        j = (i + 1) % len(prism.outline)
        right, above = prism.outline[j][0] - x, prism.outline[j][1] - y
        long = hypot(right, above)
        outward = file.direction(above / long, -right / long, 0)
        faces.append(file.face([low[i], low[j], high[j], high[i]], outward, up))
    shell = file.add(f"CLOSED_SHELL('',({','.join(faces)}))")
    return file.add(f"FACETED_BREP('',{shell})")


def _styled(file: _File, solid: str, colour: Colour) -> str:
    paint = file.add(f"COLOUR_RGB('',{','.join(_real(each) for each in colour)})")
    fill = file.add(f"FILL_AREA_STYLE('',({file.add(f"FILL_AREA_STYLE_COLOUR('',{paint})")}))")
    side = file.add(f"SURFACE_SIDE_STYLE('',({file.add(f'SURFACE_STYLE_FILL_AREA({fill})')}))")
    usage = file.add(f"SURFACE_STYLE_USAGE(.BOTH.,{side})")
    style = file.add(f"PRESENTATION_STYLE_ASSIGNMENT(({usage}))")
    return file.add(f"STYLED_ITEM('',({style}),{solid})")


def _real(number: float) -> str:
    """A number with a decimal point, as Part 21 requires, and without a negative zero."""
    return f"{round(number, 6) + 0.0:.6f}".rstrip("0")
