# SPDX-License-Identifier: Apache-2.0
"""The opened index of one unit in this process's memory, in columns of 23 bytes a call: a year of 150 units has 26
million calls, and a search reads all of them in a second (docs/finding.md).

A number is stored as the integer of its digits and their count, so that an ending is a remainder. Entries that do not
fit into the columns (a number with letters, a call id with a suffix) are compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from linetap_core.clock import NS_PER_MS, compact, rfc3339
from linetap_core.evidence.calls import index
from linetap_core.evidence.calls.index import Entry
from linetap_core.records import Direction, Disposition
from linetap_desk.searching.departments import Row, SeatPeriod

Kind = Literal["number", "name", "extension"]
_DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
_DISPOSITIONS: tuple[Disposition, ...] = get_args(Disposition)
_MOST_DIGITS = 18  # of an int64
_MOST_TEXTS = 65_535  # different extensions, or names, of a unit in columns
_ID_LENGTH = len("20261124T225600.123Z-L03")
_FORM = np.frombuffer(b"00000000T000000.000Z-L00", np.uint8)


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search between two times (UTC ns). `digits`: of a number or its ending. `text`: a name or a part of it (NFC),
    or an extension. `seats`: its lines, and extensions behind a PBX, by the table of lines."""

    kind: Kind
    first_ns: int
    last_ns: int
    digits: str = ""
    text: str = ""
    seats: Sequence[SeatPeriod] = ()

    def matches(self, entry: Entry) -> bool:
        began_ns = index.began_ns(entry)
        if not self.first_ns <= began_ns <= self.last_ns:
            return False
        if self.kind == "number":
            return index.is_number(entry, self.digits)
        if any(
            _is_at(seat.row, entry) and seat.row.from_ns <= began_ns < (seat.until_ns or self.last_ns + 1)
            for seat in self.seats
        ):
            return True
        return entry.extension == self.text if self.kind == "extension" else self.is_name(entry.name)

    def is_name(self, name: str) -> bool:
        return bool(name) and self.text.casefold() in normalize("NFC", name).casefold()


def _is_at(row: Row, entry: Entry) -> bool:
    is_there = row.extension == entry.extension if row.line is None else row.line == entry.line
    return row.unit == entry.unit and is_there


class UnitCalls:
    """The calls of one unit. First `add`, then `seal`, then search."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self._texts: dict[str, int] = {"": 0}
        self._parts: list[_Columns] = []
        self._columns: _Columns | None = None
        self._odd: list[Entry] = []

    @property
    def count(self) -> int:
        return len(self._odd) + sum(len(part.at_ms) for part in self._parts or filter(None, [self._columns]))

    def add(self, entries: list[Entry]) -> None:
        """Adds entries; those of another unit are ignored. BadIndex for an invalid call id."""
        regular, odd = list[Entry](), list[Entry]()
        for entry in entries:
            if entry.unit != self.unit:
                raise index.BadIndex(f"an entry of {entry.unit!r}")
            (regular if self._fits(entry, len(regular)) else odd).append(entry)
        at_ms, good = _times([entry.call_id for entry in regular], [entry.line for entry in regular])
        odd += [entry for entry, fine in zip(regular, good, strict=True) if not fine]
        for entry in odd:
            index.began_ns(entry)
        self._odd += odd
        kept = [entry for entry, fine in zip(regular, good, strict=True) if fine]
        if kept:
            self._parts.append(self._columns_of(kept, at_ms[good]))

    def _columns_of(self, kept: list[Entry], at_ms: NDArray[np.int64]) -> _Columns:
        numbers = [index.digits_of(entry.number) for entry in kept]
        return _Columns(
            at_ms=at_ms,
            number=np.array([int(digits or 0) for digits in numbers], np.int64),
            digits=np.array([len(digits) for digits in numbers], np.uint8),
            line=np.array([entry.line for entry in kept], np.uint8),
            extension=np.array([self._text(entry.extension) for entry in kept], np.uint16),
            name=np.array([self._text(entry.name) for entry in kept], np.uint16),
            kind=np.array(
                [
                    _DIRECTIONS.index(entry.direction) << 5
                    | _DISPOSITIONS.index(entry.disposition) << 1
                    | entry.internal
                    for entry in kept
                ],
                np.uint8,
            ),
        )

    def seal(self) -> None:
        """Ends the adding. Of a call in two segments only the later one counts."""
        if self._parts:
            whole = _Columns.join(self._parts)
            _, last = np.unique(np.stack([whole.at_ms[::-1], whole.line[::-1].astype(np.int64)]), True, axis=1)
            self._columns = whole.take(np.sort(len(whole.at_ms) - 1 - last))
            self._parts = []

    def search(self, wanted: SearchQuery) -> Iterator[Entry]:
        columns = self._columns
        if columns is not None:
            within = (columns.at_ms >= -(-wanted.first_ns // NS_PER_MS)) & (
                columns.at_ms <= wanted.last_ns // NS_PER_MS
            )
            for place in np.flatnonzero(within & self._matches(columns, wanted)):
                yield self._entry(columns, int(place))
        yield from filter(wanted.matches, {entry.call_id: entry for entry in self._odd}.values())

    def _matches(self, columns: _Columns, wanted: SearchQuery) -> NDArray[np.bool_]:
        if wanted.kind == "number":
            if len(wanted.digits) > _MOST_DIGITS:
                return np.zeros(len(columns.at_ms), np.bool_)
            ending = columns.number % np.int64(10 ** len(wanted.digits)) == int(wanted.digits)
            found: NDArray[np.bool_] = ending & (columns.digits >= len(wanted.digits))
            return found
        is_text: Callable[[str], bool] = wanted.is_name if wanted.kind == "name" else wanted.text.__eq__
        texts = np.array([number for text, number in self._texts.items() if text and is_text(text)], np.uint16)
        found = np.isin(columns.name if wanted.kind == "name" else columns.extension, texts)
        for seat in wanted.seats:
            row = seat.row
            if row.unit == self.unit and (row.line is not None or row.extension in self._texts):
                there = (
                    columns.extension == self._texts[row.extension] if row.line is None else columns.line == row.line
                )
                sat = there & (columns.at_ms >= row.from_ns // NS_PER_MS)
                found |= sat if seat.until_ns is None else sat & (columns.at_ms < seat.until_ns // NS_PER_MS)
        return found

    def _entry(self, columns: _Columns, place: int) -> Entry:
        at_ns, line, kind = int(columns.at_ms[place]) * NS_PER_MS, int(columns.line[place]), int(columns.kind[place])
        digits = int(columns.digits[place])
        texts = list(self._texts)
        return Entry(
            call_id=f"{compact(at_ns)}-L{line:02d}", unit=self.unit, line=line, at=rfc3339(at_ns),
            direction=_DIRECTIONS[kind >> 5], number=f"{int(columns.number[place]):0{digits}d}" if digits else "",
            extension=texts[int(columns.extension[place])], internal=bool(kind & 1),
            disposition=_DISPOSITIONS[kind >> 1 & 15], name=texts[int(columns.name[place])],
        )  # fmt: skip

    def _fits(self, entry: Entry, before: int) -> bool:
        """Whether the entry fits into the columns after `before` other new entries."""
        digits = index.digits_of(entry.number)
        fits = len(digits) <= _MOST_DIGITS and len(entry.call_id) == _ID_LENGTH and 0 < entry.line < 100
        has_room = len(self._texts) + 2 * (before + 1) <= _MOST_TEXTS
        return fits and digits == entry.number.strip("+") and has_room

    def _text(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))


@dataclass(frozen=True, slots=True)
class _Columns:
    at_ms: NDArray[np.int64]
    number: NDArray[np.int64]
    digits: NDArray[np.uint8]
    line: NDArray[np.uint8]
    extension: NDArray[np.uint16]
    name: NDArray[np.uint16]
    kind: NDArray[np.uint8]

    @classmethod
    def join(cls, parts: list[_Columns]) -> _Columns:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))

    def take(self, places: NDArray[np.int64]) -> _Columns:
        return _Columns(*(getattr(self, name)[places] for name in self.__slots__))


def _times(call_ids: list[str], lines: list[int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Milliseconds since 1970 of call ids of the regular length, and which of them are valid and of these lines."""
    raw = np.array([call_id.encode("ascii", "replace") for call_id in call_ids], f"S{_ID_LENGTH}")
    signs = np.frombuffer(raw.tobytes(), np.uint8).reshape(len(call_ids), _ID_LENGTH)
    good = np.ones(len(call_ids), np.bool_)
    is_digit = np.equal(_FORM, ord("0"))
    good &= (signs[:, ~is_digit] == _FORM[~is_digit]).all(axis=1)
    good &= ((signs[:, is_digit] >= ord("0")) & (signs[:, is_digit] <= ord("9"))).all(axis=1)
    values = signs.astype(np.int64) - ord("0")

    def number(first: int, last: int) -> NDArray[np.int64]:
        found = np.zeros(len(call_ids), np.int64)
        for place in range(first, last):
            found = found * 10 + values[:, place]
        return found

    year, month, day = number(0, 4), number(4, 6), number(6, 8)
    hour, minute, second = number(9, 11), number(11, 13), number(13, 15)
    good &= (year >= 1970) & (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    good &= number(22, 24) == np.array(lines)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0)
    first_day = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - first_day
    good &= day <= length
    days = first_day + day - 1
    at_ms = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + number(16, 19)
    return at_ms, good
