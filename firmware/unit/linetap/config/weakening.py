# SPDX-License-Identifier: Apache-2.0
"""The changes of a configuration that weaken it: less is recorded, announced, kept or reported, or for other numbers.

Pure. Each key has a rule in RULES; every change of a key without one weakens, including new keys. Effective values are
compared, so that a file's form does not matter. If the direction of a number is unclear (a detector's threshold, a
time-out), every change weakens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

import msgspec

from linetap.config.change import MISSING, differing, words
from linetap.config.check import profile_of
from linetap.config.patternsubset import is_narrower
from linetap.config.retention import class_of
from linetap.config.schema import Config, Line, Panel, Situation, percent_at
from linetap_core.codecs.registry import MULAW
from linetap_core.records import Disposition

UNCLASSIFIED = "unclassified"


class Weakening(msgspec.Struct, frozen=True):
    """One weakening. `code` is stable, and WORDS explains it in both languages; `what` names the key and its values."""

    code: str
    what: str


Weakens = Callable[[Any, Any], bool]


def _any(_before: Any, _after: Any) -> bool:
    return True


def _never(_before: Any, _after: Any) -> bool:
    return False


def _more(before: Any, after: Any) -> bool:
    return bool(after > before)


def _less(before: Any, after: Any) -> bool:
    return bool(after < before)


def _to(value: Any) -> Weakens:
    return lambda _before, after: bool(after == value)


def _wider(before: Any, after: Any) -> bool:
    return not is_narrower(after, before)


def _beeps_less(before: Any, after: Any) -> bool:
    """Whether the interval of the beep grows; 0 means no beep."""
    return bool(before) and (not after or after > before)


NEUTRAL = ("", _never)
DERIVED = ("", _never)  # neutral by itself: `_derived` judges its consequences

ENDING = ("ending", _any)

RULES: dict[str, tuple[str, Weakens]] = {
    "unit": ("identity", _any), "site_number": NEUTRAL, "key": ("keys", _any), "vault": ("paths", _any),
    "run_dir": ("paths", _any), "notices": ("paths", _any), "learned": ("paths", _any),
    "board.kind": ("hardware", _any), "board.lines": ("hardware", _any),
    "board.pins": ("hardware", _any), "card": ("hardware", _any),
    "keys": ("keys", _any),
    "broker": ("reporting", _any), "broker.keepalive_s": ("alert_later", _more),
    "line.number": DERIVED, "line.card": ("line_changed", _any), "line.channel": ("line_changed", _any),
    "line.profile": DERIVED, "line.notice": DERIVED, "line.retention": DERIVED,
    "line.exempt": ("line_exempt", _to(True)),
    "line.caller_id": ("line_changed", lambda _, after: bool(after != "auto")),
    "line.release": ENDING,
    "line.extension": ("line_changed", _any), "line.trunk": ("line_changed", _any),
    "recording.notice": DERIVED, "recording.end_notice": ("notice_changed", _any),
    "recording.mark_notice": ("notice_changed", _any), "recording.notice_delay_ms": ("notice_changed", _any),
    "recording.greeting_max_ms": ("notice_changed", _any),
    "recording.notice_tone_ms": ("notice_changed", _any), "recording.notice_target_dbm0": ("notice_changed", _less),
    "recording.record_from": ("record_less", _to("notice_end")),
    "recording.codec": ("codec", lambda _, after: bool(after != MULAW.name)),
    "recording.on_notice_failure": ("record_unannounced", _to("record_and_flag")),
    "recording.internal_pattern": ("internal_wider", _wider),
    "recording.record_internal": ("internal_changed", _any),
    "recording.emergency_numbers": ("emergency_changed", _any), "recording.trunk_prefixes": ("emergency_changed", _any),
    "recording.record_emergency": ("record_emergency", _to(True)),
    "recording.on_unknown_answer": ("record_less", _to("wait")),
    "recording.answer_silence_s": ("call_times", _any), "recording.numbers_at_once": ("call_times", _any),
    "recording.pickup_codes": ("call_times", _any),
    "recording.answer_timeout_s": ("call_times", _any), "recording.answer_unheard_s": ("call_times", _any),
    "recording.tone_end_s": ("call_times", _any), "recording.longest_call_s": ("call_times", _any),
    "recording.recommended_call_s": ("alert_later", _more),
    "recording.mark_code": ("mark_code", _any), "recording.notice_code": ("notice_code", _any),
    "recording.beep_every_s": ("beep", _beeps_less), "recording.beep_dbm0": ("beep", _less),
    "recording.deaf_calls": ("alert_later", _more),
    "recording.deaf_span_s": ("alert_later", _more),
    "recording.recorded_before_answer": ("record_unannounced", _to("keep_and_flag")),
    "recording.answer_doubt_s": ("record_unannounced", _less),
    # Of a situation in both configurations. `_derived` compares all others by their code, and the classes.
    "situation.name": NEUTRAL, "situation.code": ENDING, "situation.notice": ENDING, "situation.then": ENDING,
    "situation.retention": DERIVED,
    "ending.warn_s": ENDING, "ending.warn_notice": ENDING, "ending.end_s": ENDING, "ending.end_situation": ENDING,
    "ending.extend_code": ENDING, "ending.extend_s": ENDING, "ending.extend_most": ENDING,
    "retention.zone": ("retention_clock", _any), "retention.largest_gap_days": ("retention_clock", _more),
    "retention.default": DERIVED, "retention.marked": DERIVED, "retention.dispositions": DERIVED,
    "retention.classes": DERIVED,
    "storage.reserve_mb": ("storage", _any), "storage.outbox_mb": ("storage", _less),
    "smdr": ("pbx", _any),
    "panel.night_from": DERIVED, "panel.night_to": DERIVED, "panel.night_percent": DERIVED,
    "home_assistant.discovery": ("alert_later", _to(False)),
    "policy.weakening_delay_h": DERIVED,
    "update.log_policy": ("updates", _any),
    "profile": DERIVED,
}  # fmt: skip

# Code -> its effect on recordings and callers, for the person who decides.
WORDS = {
    "line_removed": ("회선이 설정에서 빠져 녹음되지 않습니다", "a line is removed and is not recorded"),
    "line_exempt": ("회선이 녹음 제외로 바뀝니다", "a line is neither announced nor recorded"),
    "line_changed": ("회선의 배선이나 번호가 바뀝니다", "a line is wired, numbered or identified differently"),
    "retention_shorter": ("보존 기간이 짧아집니다", "calls are kept for fewer days"),
    "retention_clock": ("보존 기한을 세는 기준이 바뀝니다", "the end of calls is computed differently"),
    "internal_wider": ("내선 통화로 보아 녹음하지 않는 번호가 늘어납니다", "more numbers count as internal"),
    "internal_changed": ("내선 통화의 녹음 여부가 바뀝니다", "recording of internal calls changes"),
    "emergency_changed": ("긴급 번호의 범위가 바뀝니다", "other numbers count as emergency calls"),
    "record_emergency": ("긴급 전화도 녹음합니다", "emergency calls are recorded"),
    "record_less": ("녹음되는 구간이 줄어듭니다", "less of a call is recorded"),
    "codec": ("녹음 음질이 회선의 소리보다 낮아집니다", "recordings sound worse than the line did"),
    "record_unannounced": ("안내 방송을 하지 못한 통화도 녹음합니다", "calls are recorded without their notice"),
    "notice_changed": ("안내 방송이 바뀝니다", "another notice is played, or at another time"),
    "call_times": ("응답과 통화 종료를 판단하는 시간이 바뀝니다", "answer and end of a call are timed differently"),
    "mark_code": ("폭언 표시 번호가 바뀝니다", "the code that marks a call changes"),
    "notice_code": ("안내 방송을 트는 번호가 바뀝니다", "the code that plays the notice changes"),
    "ending": (
        "통화를 종료하는 번호, 안내 또는 시간이 바뀝니다",
        "a call is ended by another code, with another notice or at another time",
    ),
    "beep": ("녹음 알림음이 줄어들거나 작아집니다", "the recording beep is less frequent, or quieter"),
    "alert_later": ("이상을 늦게 또는 약하게 알립니다", "a fault is reported later, or less visibly"),
    "detectors": ("회선 신호를 듣는 기준이 바뀝니다", "the detectors of a line use other numbers"),
    "hardware": ("카드나 기판의 설정이 바뀝니다", "card or board settings change"),
    "keys": ("암호화 또는 서명 열쇠가 바뀝니다", "calls are sealed or signed with other keys"),
    "reporting": ("보고하는 중앙 서버가 바뀝니다", "reports go elsewhere"),
    "storage": ("저장 공간의 한도가 바뀝니다", "recording stops, or reports are dropped, at another point"),
    "pbx": ("교환기 통화 기록을 읽는 방법이 바뀝니다", "the PBX's records are read differently"),
    "paths": ("파일 위치가 바뀝니다", "vault, notices or state move"),
    "identity": ("기기 이름이 바뀝니다", "the unit has another name"),
    "delay_shorter": ("약화 변경의 대기 시간이 짧아집니다", "weakening changes wait for a shorter time"),
    "delay_longer": ("약화 변경의 대기 시간이 길어집니다", "changes signed by two wait for a longer time"),
    "learned": ("학습된 회선 값이 크게 바뀌었습니다", "the measurements of a line have changed by far"),
    "updates": (
        "업데이트를 확인하는 공개 기록이 바뀝니다",
        "updates are checked against another log of versions, or none",
    ),
    "roles": ("명령 권한을 가진 사람이 바뀌었습니다", "other people may command"),
    "memory": (
        "비교할 이전 설정의 기록이 없거나 다릅니다",
        "the record of the configuration in force is lost or was changed",
    ),
    "file_unusable": ("설정 파일을 쓸 수 없습니다", "unit.toml was changed so that no service can use it"),
    UNCLASSIFIED: ("분류되지 않은 설정이 바뀝니다", "an unclassified key changes"),
}


def weakenings(before: Config, after: Config) -> list[Weakening]:
    """All weakenings, in the order of the keys; none if the new configuration is as strong as the old."""
    return [*_by_rules(before, after), *_derived(before, after)]


def schema_path(key: str) -> str:
    """The schema path of a key of `differing`: `line.exempt` for `line 3.exempt`; classes and profiles have any
    names.
    """
    top = re.split(r"[. ]", key, maxsplit=1)[0]
    for whole in ("retention.classes", "retention.dispositions"):
        if key.startswith((f"{whole} ", f"{whole}.")) or key == whole:
            return whole
    return top if top == "profile" else re.sub(r"^(line|card|situation) \w+", r"\1", key)


def rule_of(path: str) -> tuple[str, Weakens]:
    """The key's own rule, else its table's, else that every change weakens."""
    return RULES.get(path) or RULES.get(path.partition(".")[0]) or (UNCLASSIFIED, _any)


def _by_rules(before: Config, after: Config) -> Iterator[Weakening]:
    was, will = _lines(before), _lines(after)
    kept = _situations(before) & _situations(after)
    for key, old, new in differing(before, after):
        if (match := re.match(r"line (\d+)\.", key)) and int(match[1]) not in was.keys() & will.keys():
            continue  # the whole line was added or removed
        if (match := re.match(r"situation(?: (\w+)\.|$)", key)) and match[1] not in kept:
            continue  # a whole situation, or the last one
        code, weakens = rule_of(schema_path(key))
        if old is MISSING or new is MISSING:
            weakens = weakens if weakens in (_never, _any) else _any
        if weakens(old, new):
            yield Weakening(code, words(key, old, new))
    for number in sorted(was.keys() - will.keys()):
        yield Weakening("line_removed", f"line {number} -> nothing")


def _derived(before: Config, after: Config) -> Iterator[Weakening]:
    """Weakenings of values that a line gets from a table or the default, and of several keys together."""
    yield from _darker(before.panel, after.panel)
    delays = before.policy.weakening_delay_h, after.policy.weakening_delay_h
    if delays[0] != delays[1]:
        code = "delay_shorter" if delays[1] < delays[0] else "delay_longer"
        yield Weakening(code, words("policy.weakening_delay_h", *delays))
    for code, one, other in _renamed(before, after):
        if _end_by(one) != _end_by(other):
            yield Weakening("ending", words(f"code {code}", _end_by(one), _end_by(other)))
    was, will = _lines(before), _lines(after)
    for number in sorted(was.keys() & will.keys()):
        old, new = was[number], will[number]
        values = old.notice or before.recording.notice, new.notice or after.recording.notice
        if values[0] != values[1]:
            yield Weakening("notice_changed", words(f"line {number} plays", *values))
        if _detector_numbers(before, old) != _detector_numbers(after, new):
            yield Weakening("detectors", words(f"line {number} profile", old.profile, new.profile))
        yield from _shorter(before, after, number)


def _darker(before: Panel, after: Panel) -> Iterator[Weakening]:
    """Weakenings of LEDs that are darker at any minute of the day: they inform the person in the closet."""
    if before != after and any(percent_at(after, minute) < percent_at(before, minute) for minute in range(24 * 60)):
        values = (f"{each.night_from} to {each.night_to} at {each.night_percent} %" for each in (before, after))
        yield Weakening("alert_later", words("panel.night", *values))


def _detector_numbers(config: Config, line: Line) -> Any:
    """The numbers of a line's detectors, without the profile's name."""
    return msgspec.structs.replace(profile_of(config, line.profile), name="")


def _shorter(before: Config, after: Config, line: int) -> Iterator[Weakening]:
    kinds: tuple[Disposition, ...] = get_args(Disposition)
    marks: list[tuple[str, bool, list[str], list[str]]] = [("", False, [], []), ("marked", True, [], [])]
    marks += [(each, False, [each], [each]) for each in sorted(_situations(before) & _situations(after))]
    marks += [
        (one.name, False, [one.name], [] if other is None else [other.name])
        for _, one, other in _renamed(before, after)
        if one is not None
    ]
    for mark, marked, was, will in marks:
        days = {
            kind: (class_of(before, line, kind, marked, was).days, class_of(after, line, kind, marked, will).days)
            for kind in kinds
        }
        less = {pair: kind for kind, pair in reversed(days.items()) if pair[1] < pair[0]}
        for (old, new), kind in less.items():
            called = mark or kind
            yield Weakening("retention_shorter", f"line {line} {called}: {old} -> {new} days")


def _lines(config: Config) -> dict[int, Line]:
    return {line.number: line for line in config.line}


def _renamed(before: Config, after: Config) -> Iterator[tuple[str, Situation | None, Situation | None]]:
    """The codes of situations that are not in both configurations by name, with the situation before and after: staff
    dial the code, and the name is free."""
    kept = _situations(before) & _situations(after)
    was, will = (
        {each.code: each for each in config.situation if each.code and each.name not in kept}
        for config in (before, after)
    )
    for code in sorted(was.keys() | will.keys()):
        yield code, was.get(code), will.get(code)


def _end_by(situation: Situation | None) -> str:
    """The effect of a dialled code, apart from the mark."""
    if situation is None or situation.then == "nothing":
        return "nothing"
    return f"{situation.then} with {situation.notice}"


def _situations(config: Config) -> set[str]:
    return {each.name for each in config.situation}
