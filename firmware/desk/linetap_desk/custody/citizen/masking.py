# SPDX-License-Identifier: Apache-2.0
"""Masks a recording: marked spans become silence in the copy, to the sample; all other samples are unchanged.

A span's begin is rounded down to a whole sample and its end up, so that no marked sound is left audible.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from linetap_core.codecs.codec import RATE_HZ
from linetap_core.errors import BadInput

MOST_SPANS = 200
Reason = Literal["other_person", "others_interest", "by_law"]  # PIPA art. 35(4): no. 2 twice, no. 1
REASONS: tuple[Reason, ...] = get_args(Reason)
_TIME = re.compile(r"(?:(?:(\d{1,2}):)?(\d{1,2}):)?(\d{1,6}(?:\.\d{1,6})?)", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Samples `first` to before `end`."""

    first: int
    end: int
    reason: Reason

    @property
    def from_s(self) -> float:
        return self.first / RATE_HZ

    @property
    def to_s(self) -> float:
        return self.end / RATE_HZ


def read_time(text: str, what: str) -> float:
    """Parses seconds from `75.5`, `1:15.5` or `1:02:03`; BadInput for any other text, also NaN and infinity."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{what}: seconds as 75.5, or minutes as 1:15.5 expected")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    if (found[2] is not None and seconds >= 60) or (found[1] is not None and minutes >= 60):
        raise BadInput(f"{what}: below 60 after a colon expected")
    return hours * 3600 + minutes * 60 + seconds


def span(from_s: float, to_s: float, reason: str, samples: int) -> Span:
    """The span. BadInput unless it lies within a recording of `samples` samples and has a length."""
    if reason not in REASONS:
        raise BadInput(f"reason: one of {', '.join(REASONS)} expected")
    if not (math.isfinite(from_s) and math.isfinite(to_s)):
        raise BadInput("from, to: seconds from the beginning of the recording expected")
    # Computed from whole microseconds: 0.1 s is 800 samples, not 801 by a binary fraction slightly above it.
    first, end = round(from_s * 1_000_000) * RATE_HZ // 1_000_000, -(-round(to_s * 1_000_000) * RATE_HZ // 1_000_000)
    if not 0 <= first < end <= samples:
        raise BadInput(f"from, to: a span within the {samples / RATE_HZ:.3f} s of the recording expected")
    return Span(first, end, reason)


def added(spans: Sequence[Span], new: Span) -> list[Span]:
    """The spans with a new one, in order. BadInput if it overlaps another, since each has one reason."""
    if len(spans) >= MOST_SPANS:
        raise BadInput(f"at most {MOST_SPANS} spans")
    for one in spans:
        if new.first < one.end and one.first < new.end:
            raise BadInput(f"from, to: overlaps the span {one.from_s:.3f} to {one.to_s:.3f} s; remove that one first")
    return sorted([*spans, new])


def masked(pcm: NDArray[np.int16], spans: Sequence[Span]) -> NDArray[np.int16]:
    """A copy of `pcm` with silence in the spans."""
    copy = pcm.copy()
    end = 0
    for one in sorted(spans):
        if not end <= one.first < one.end <= len(copy):
            raise BadInput("spans: in order, apart, and within the recording expected")
        copy[one.first : one.end] = 0
        end = one.end
    return copy


def marked(spans: Sequence[Span], from_text: str, to_text: str, reason: str, samples: int) -> list[Span]:
    """The spans with the one from the form."""
    return added(spans, span(read_time(from_text, "from"), read_time(to_text, "to"), reason, samples))


def without(spans: Sequence[Span], which: str) -> list[Span]:
    """The spans except the one that begins at sample `which`; BadInput if there is none."""
    left = [one for one in spans if str(one.first) != which]
    if len(left) == len(spans):
        raise BadInput("span: there is none that begins there")
    return left
