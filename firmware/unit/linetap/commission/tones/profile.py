# SPDX-License-Identifier: Apache-2.0
"""Makes a profile of measured tones: times of recognition, too similar tones, and the rest of Korea's tones."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from linetap.commission.tones.recording import MeasuredTone
from linetap.commission.tones.spectrum import Hz
from linetap.config.numbers import KR_TONES, ToneShape
from linetap.config.profile import KR_PSTN, Profile
from linetap_core.errors import BadInput

NAMES = tuple(shape.name for shape in KR_TONES)
_PERIODS = {"busy": 3, "congestion": 3}  # as for Korea's, since these tones end a call
_ENDS = {"busy", "congestion", "unobtainable"}
_DIAL_MARGIN_MS = 100
_SAME = 0.05  # recordings with smaller differences are of one tone
_CADENCE = KR_PSTN.cadence


class Learnt(NamedTuple):
    profile: Profile
    kept: tuple[ToneShape, ...]  # including Korea's
    dropped: tuple[str, ...]  # Korea's tones that the detector cannot distinguish from one of the PBX's


def learn(name: str, measured: list[MeasuredTone], alone: bool) -> Learnt:
    """The profile. `alone`: without Korea's tones. BadInput names two tones that the detector could not distinguish."""
    own = _known(_one_frequency(measured) if alone else _between(_one_frequency(measured)))
    twice = {i for i in range(len(own)) for j in range(i) if own[i].name == own[j].name and _too_near(own[i], own[j])}
    measured = [each for i, each in enumerate(measured) if i not in twice]  # two recordings of one tone count as one
    own = [shape for i, shape in enumerate(own) if i not in twice]
    problems = [
        f"{measured[i].path} and {measured[j].path}: {own[i].name} and {own[j].name} are one tone to the detector, "
        f"{_described(own[i])} and {_described(own[j])}; recordings of two tones expected"
        for i in range(len(own))
        for j in range(i)
        if _too_near(own[i], own[j])
    ]
    if problems:
        raise BadInput("\n".join(problems))
    kept = [] if alone else [_settled(shape, own) for shape in KR_TONES]
    kept = [_named(shape, own) for shape in kept]
    stay = tuple(shape for shape in kept if not any(_displaces(mine, shape) for mine in own))
    dropped = tuple(shape.name for shape in kept if shape not in stay)
    tones = tuple(_known([*own, *stay]))
    cadence = msgspec.structs.replace(_CADENCE, dial_min_ms=_dial_min_ms(tones))
    return Learnt(Profile(name=name, tone=tones, cadence=cadence), tones[len(own) :], dropped)


def _one_frequency(measured: list[MeasuredTone]) -> list[ToneShape]:
    """Averages frequencies that the detector cannot distinguish, so that the cadence decides."""
    groups: list[list[MeasuredTone]] = []
    for each in measured:
        group = next((some for some in groups if _near(some[0].hz, each.hz)), None)
        if group is None:
            groups.append([each])
        else:
            group.append(each)
    mean = {id(each): _mean([some.hz for some in group]) for group in groups for each in group}
    return [ToneShape(each.name, mean[id(each)], each.elements_ms, 0) for each in measured]


def _mean(hz: list[Hz]) -> Hz:
    return tuple(round(sum(column) / len(hz), 1) for column in zip(*hz, strict=True))


def _settled(shape: ToneShape, own: list[ToneShape]) -> ToneShape:
    """Korea's shape with the PBX's frequency, if the detector could not distinguish the two."""
    near = next((mine.hz for mine in own if _near(mine.hz, shape.hz)), shape.hz)
    return msgspec.structs.replace(shape, hz=near)


def _between(own: list[ToneShape]) -> list[ToneShape]:
    """Moves a single frequency halfway to one of Korea's, if 40 ms distinguish the two only by chance."""
    halfway: list[ToneShape] = []
    for mine in own:
        beside = [shape.hz for shape in KR_TONES if len(shape.hz) == len(mine.hz) == 1 and not _near(shape.hz, mine.hz)]
        near = next((hz for hz in beside if abs(hz[0] - mine.hz[0]) <= 2 * KR_PSTN.tones.tolerance * hz[0]), mine.hz)
        halfway.append(msgspec.structs.replace(mine, hz=_mean([mine.hz, near])))
    return halfway


def _named(korean: ToneShape, own: list[ToneShape]) -> ToneShape:
    """Korea's shape under the PBX's name, if both mean that no one will answer and the detector cannot choose."""
    for mine in own:
        if _too_near(mine, korean) and {mine.name, korean.name} <= _ENDS:
            return msgspec.structs.replace(korean, name=mine.name)
    return korean


def _known(shapes: list[ToneShape]) -> list[ToneShape]:
    """Sets known_after: Korea's rules, plus the elements needed to differ from another tone of the same frequency."""
    known: list[ToneShape] = []
    for shape in shapes:
        elements = len(shape.cadence_ms)
        after = _PERIODS.get(shape.name, 1) * elements
        if shape.name == "ringback":
            after = min(1, elements)
        elif shape.name == "call_waiting":
            after = max(0, elements - 1)
        others = [other for other in shapes if other.name != shape.name and other.cadence_ms]
        others = [other for other in others if _near(other.hz, shape.hz)]
        while after < elements and any(_begins_like(shape, other, after) for other in others):
            after += 1
        known.append(msgspec.structs.replace(shape, known_after=after))
    return known


def _too_near(a: ToneShape, b: ToneShape) -> bool:
    if not _near(a.hz, b.hz) or bool(a.cadence_ms) != bool(b.cadence_ms):
        return False
    if not a.cadence_ms:
        return True
    return _begins_like(a, b, max(a.known_after, 2)) or _begins_like(b, a, max(b.known_after, 2))


def _displaces(mine: ToneShape, korean: ToneShape) -> bool:
    """Whether the PBX's tone replaces Korea's. Unequal tones of one name may coexist; two names for one tone may
    not.
    """
    if not _too_near(mine, korean):
        return False
    return mine.name != korean.name or (
        len(mine.cadence_ms) == len(korean.cadence_ms)
        and all(abs(a - b) <= _SAME * b for a, b in zip(mine.cadence_ms, korean.cadence_ms, strict=True))
    )


def _begins_like(shape: ToneShape, other: ToneShape, elements: int) -> bool:
    """Whether a shape's first elements fit anywhere into another's cadence, within the detector's tolerance."""
    period = len(other.cadence_ms)
    return any(
        all(_fits(shape, k, other.cadence_ms[(turn + k) % period]) for k in range(elements))
        for turn in range(0, period, 2)
    )


def _fits(shape: ToneShape, element: int, ms: int) -> bool:
    nominal_ms = shape.cadence_ms[element % len(shape.cadence_ms)]
    return abs(ms - nominal_ms) <= nominal_ms * _CADENCE.tolerance + _CADENCE.slack_ms


def _near(a: Hz, b: Hz) -> bool:
    tolerance = KR_PSTN.tones.tolerance
    return len(a) == len(b) and all(abs(x - y) <= tolerance * max(x, y) for x, y in zip(a, b, strict=True))


def _dial_min_ms(tones: tuple[ToneShape, ...]) -> int:
    """The time after which a continuous tone is recognised: longer than any burst of its frequencies."""
    longest = max(
        (
            max(shape.cadence_ms[::2])
            for shape in tones
            for steady in tones
            if shape.cadence_ms and not steady.cadence_ms and shape.hz == steady.hz
        ),
        default=0,
    )
    needed = longest * (1 + _CADENCE.tolerance) + _CADENCE.slack_ms + _DIAL_MARGIN_MS
    return max(_CADENCE.dial_min_ms, 50 * -(-round(needed) // 50)) if longest else _CADENCE.dial_min_ms


def _described(shape: ToneShape) -> str:
    hz = " + ".join(f"{f:g}" for f in shape.hz)
    return f"{hz} Hz {'/'.join(map(str, shape.cadence_ms)) + ' ms' if shape.cadence_ms else 'without a pause'}"
