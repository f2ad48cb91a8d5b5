# SPDX-License-Identifier: Apache-2.0
"""Checks of single lines: a table, and the common code of its rows.

The recorder reports the faults of each line as codes (LineState.troubles); a code is the id of its check. While the
recorder is not alive, no line's fault clears: its last report stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from linetap.checks.frame import Check, Snapshot, Trouble, Words
from linetap_core.records import CaptureState

type Lines = Sequence[int]


def _with_trouble(snapshot: Snapshot, code: str) -> Lines | None:
    """Returns the lines with this code, in order; None: unknown."""
    recorder = snapshot.services.recorder.live
    if recorder is None:
        return None
    return sorted(line.line for line in recorder.lines if code in line.troubles)


def of_lines(
    check_id: str,
    *,
    clears: str,
    text_ko: str,
    text_en: str,
    action_ko: str,
    action_en: str,
    lines: Callable[[Snapshot, str], Lines | None] = _with_trouble,
    of_a_call: bool = False,
) -> Check:
    """Returns a check of the lines that `lines(snapshot, check_id)` returns.

    In the texts {lines} are all these lines, in words, and {first} is the number of the first.
    """

    def find(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
        found = lines(snapshot, check_id)
        if found is None:
            return standing
        if not found:
            return None
        ko = ", ".join(f"{line}번" for line in found) + " 회선"
        en = ("line " if len(found) == 1 else "lines ") + ", ".join(map(str, found))
        first = found[0]
        return Words(
            line=first if len(found) == 1 else None,
            lines=tuple(found),
            text_ko=text_ko.format(lines=ko, first=first),
            text_en=_sentence(text_en.format(lines=en, first=first)),
            action_ko=action_ko.format(lines=ko, first=first),
            action_en=_sentence(action_en.format(lines=en, first=first)),
        )

    return Check(check_id, clears, find, of_a_call=of_a_call)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _of_contacts(found: Callable[[CaptureState], list[int]]) -> Callable[[Snapshot, str], Lines | None]:
    """Lines by the last report of each card's capture: its death moves no contact."""

    def lines(snapshot: Snapshot, _code: str) -> Lines | None:
        states = [seen.state for seen in snapshot.services.capture.values() if seen.state is not None]
        return sorted(line for state in states for line in found(state)) if states else None

    return lines


CHECKS = (
    # The notice was played completely in several calls over some time, on a quiet line, and was not heard. The line's
    # calls are still announced, recorded and flagged.
    of_lines(
        "notice_not_heard",
        clears="when the whole notice was detected in a call, a walk test or by `linetap line learn`",
        text_ko="{lines}에서 안내 방송이 들리지 않습니다. 통화는 계속 녹음되고 그 사실이 기록에 남습니다.",
        text_en="{lines}: the notice is not audible. Its calls are still recorded and flagged.",
        action_ko=(
            "드라이버로 {lines}의 단자와 릴레이 쪽 배선을 조인 뒤 linetap walk --line {first} 명령을 실행하십시오."
        ),
        action_en=(
            "tighten the terminals of {lines} and the wires of its relay with a screwdriver, then run linetap "
            "walk --line {first}."
        ),
    ),
    # A line has no voltage: its wires are loose, or cut towards the exchange.
    of_lines(
        "line_cut",
        clears="when the line has had its voltage again for 3 s",
        text_ko="{lines}에 전압이 없습니다. 선이 빠졌거나 끊어져 통화할 수 없습니다.",
        text_en="{lines}: no voltage. The wires are loose or cut; there are no calls on it.",
        action_ko=(
            "드라이버로 {lines}의 단자 나사 두 개를 조이십시오. 두 단자 사이가 여전히 3 V 미만이면 통신사에 "
            "연락하십시오."
        ),
        action_en=(
            "tighten both terminal screws of {lines} with a screwdriver. If there is still less than 3 V between "
            "them, call the telephone company."
        ),
    ),
    # A line has a few volts and no sound: its wires touch somewhere.
    of_lines(
        "line_short",
        clears="when the line has had its voltage, or a voice, again for 3 s",
        text_ko="{lines}의 두 선이 서로 닿은 것 같습니다. 전압이 몇 볼트뿐이고 소리가 없습니다.",
        text_en="{lines}: a few volts and no sound. The two wires seem to touch.",
        action_ko=(
            "드라이버로 {lines}의 두 선을 단자에서 풀어 보십시오. 그래도 전압이 낮으면 교환기 쪽, 돌아오면 전화기 "
            "쪽 배선이 문제입니다."
        ),
        action_en=(
            "take both wires of {lines} off their terminals with a screwdriver: if the voltage stays low, the "
            "fault is towards the exchange; otherwise towards the telephone."
        ),
    ),
    # A line's on-hook voltage is far above its earlier value, or above any exchange's: another port, or a wrong reading
    # of the card.
    of_lines(
        "battery_high",
        clears="when the on-hook voltage has been 1 V below the limit for 3 s, or `linetap line learn` has learned it",
        text_ko=(
            "{lines}의 전압이 측정해 둔 값이나 일반 회선의 값보다 훨씬 높게 측정됩니다. 통화를 감지하지 못해 "
            "녹음하지 못할 수 있습니다."
        ),
        text_en=(
            "{lines}: the voltage read is far above the learned one, or above any exchange's. Calls may be missed and "
            "not recorded."
        ),
        action_ko=(
            "드라이버로 {lines}의 단자를 조이고 두 단자 사이를 전압계로 재십시오. 기기가 표시하는 값과 다르면 "
            "카드를 교체하십시오. 같으면 수화기를 내려놓고 linetap line learn {first} 명령을 실행하십시오."
        ),
        action_en=(
            "tighten the terminals of {lines} with a screwdriver and measure between them. If the unit shows another "
            "voltage, replace the card. If it shows the same, put the handset down and run linetap line learn {first}."
        ),
    ),
    # A line is off-hook without even noise: a dead codec channel, or missing wires.
    of_lines(
        "silent_off_hook",
        clears="when sound or the line's own noise was detected for 3 s",
        text_ko="{lines}에서 수화기를 들어도 아무 소리가 들어오지 않습니다. 녹음에 소리가 없습니다.",
        text_en="{lines}: off-hook without any sound. The recording is silent.",
        action_ko=(
            "드라이버로 {lines}의 단자와 코덱 쪽 커넥터를 조이십시오. 다른 회선은 들리고 이 회선만 조용하면 "
            "카드를 교체하십시오."
        ),
        action_en=(
            "tighten the terminals of {lines} and its connector at the codec with a screwdriver. If the other "
            "lines are heard and this one is not, replace the card."
        ),
    ),
    # Speech on a line that is on-hook according to its pin and its meter: its calls are not detected, and not recorded.
    of_lines(
        "sound_on_hook",
        clears="when its hook was detected to open, or half a minute was quiet",
        text_ko=(
            "{lines}에서 수화기가 내려져 있는데 통화 소리가 들립니다. 통화를 감지하지 못해 녹음하지 않을 수 있습니다."
        ),
        text_en="{lines}: on-hook with speech on it. Its calls may be missed and not recorded.",
        action_ko=(
            "{lines}의 수화기를 들었다 놓아 보십시오. 기기가 감지하지 못하면 드라이버로 단자를 조이고 "
            "`linetap line learn`을 실행하십시오. 감지하면 이웃 회선과 선이 닿았는지 확인하십시오."
        ),
        action_en=(
            "lift the handset of {lines} and put it down. If the unit does not detect it, tighten its terminals with a "
            "screwdriver and run `linetap line learn`. If it does, check whether the wires touch a neighbour's."
        ),
    ),
    # A line's series contact may not have closed again: its telephone is cut off.
    of_lines(
        "contact_open",
        clears="when the handset was lifted on the line, or the meter reports the contact closed",
        text_ko="{lines}: 통화를 끊은 접점이 다시 닫히지 않은 것 같습니다. 전화기가 회선에서 떨어져 있을 수 있습니다.",
        text_en="{lines}: the contact that ended a call may not have closed again. The telephone may be cut off.",
        action_ko=(
            "수화기를 들어 발신음이 들리는지 확인하십시오. 들리지 않으면 카드의 전원을 끄십시오(전원이 없으면 접점이 "
            "닫힙니다). 그래도 들리지 않으면 카드를 교체하십시오."
        ),
        action_en=(
            "lift the handset and listen for dial tone. If there is none, switch the card off: without power the "
            "contact is closed. If there still is none, replace the card."
        ),
        lines=_of_contacts(lambda capture: capture.contact_open),
    ),
    # A line's series contact was opened, and its loop stayed closed: calls on it are not ended by the card.
    of_lines(
        "contact_stuck",
        clears='when the contact was opened again and the loop opened with it, or the line has `release = "staff"`',
        text_ko="{lines}: 통화를 끊으려 하였으나 접점이 열리지 않았습니다. 직원이 수화기를 내려놓아야 통화가 끝납니다.",
        text_en="{lines}: the contact was opened to end a call, and the loop stayed closed. Staff have to hang up.",
        action_ko='카드를 교체하십시오. 그때까지 unit.toml에서 이 회선을 release = "staff"로 두십시오.',
        action_en='replace the card. Until then set release = "staff" for the line in unit.toml.',
        lines=_of_contacts(lambda capture: capture.contact_stuck),
    ),
    # The notice of the last call was played and not heard on the line; after a few more calls the line is at fault.
    of_lines(
        "notice_doubtful",
        clears="when a notice was detected on the line, in a call or by `linetap line learn`",
        text_ko="{lines}: 지난 통화에서 안내 방송이 회선에서 확인되지 않았습니다. 녹음 기록에 표시되어 있습니다.",
        text_en="{lines}: the notice of the last call was not detected on the line. Its record has that.",
        action_ko=(
            "드라이버로 {lines}의 단자와 릴레이 쪽 배선을 조인 뒤 linetap line learn {first} 명령을 실행하십시오."
        ),
        action_en=(
            "tighten the terminals of {lines} and the wires of its relay with a screwdriver, then run linetap "
            "line learn {first}."
        ),
    ),
    # A line's two wires were swapped since it was learned.
    of_lines(
        "line_reversed",
        clears="when the on-hook polarity is the learned one, or `linetap line learn` has learned the other",
        text_ko="{lines}의 극성이 바뀌었습니다. 응답 시각을 잘못 판단할 수 있습니다.",
        text_en="{lines}: the polarity differs from the learned one. Answer times may be wrong.",
        action_ko=(
            "드라이버로 {lines}의 두 선을 서로 바꾸어 끼우십시오. 통신사가 바꾼 것이면 linetap line learn {first} "
            "명령을 실행하십시오."
        ),
        action_en=(
            "swap the two wires of {lines} with a screwdriver. If the telephone company has swapped them "
            "permanently, run linetap line learn {first}."
        ),
    ),
    # A line's on-hook voltage is far below its earlier value, or below an exchange's.
    of_lines(
        "battery_low",
        clears="when the on-hook voltage has been 1 V above the limit for 3 s",
        text_ko="{lines}의 대기 전압이 낮습니다.",
        text_en="{lines}: the on-hook voltage is low.",
        action_ko=(
            "드라이버로 {lines}의 단자를 조이고 다른 기기가 병렬로 연결되었는지 확인하십시오. 그대로면 통신사나 교환기 "
            "업체에 연락하십시오."
        ),
        action_en=(
            "tighten the terminals of {lines} with a screwdriver and look for other devices on the same wires. If "
            "it stays low, call the telephone company or the PBX's service."
        ),
    ),
    # A line that was not learned has the voltage of a 24 V PBX, for which the thresholds of 48 V are wrong.
    of_lines(
        "battery_24v",
        clears="when `linetap line learn` has learned the line",
        text_ko="{lines}은 24 V 교환기 회선으로 보입니다. 수화기를 든 것을 감지하지 못할 수 있습니다.",
        text_en="{lines}: this looks like a 24 V PBX. Lifting the handset may not be detected.",
        action_ko="수화기를 내려놓고 linetap line learn {first} 명령을 실행하십시오. 드라이버는 필요 없습니다.",
        action_en="put the handset down and run linetap line learn {first}. No screwdriver is needed.",
    ),
    # A line that was not learned has so high a voltage off-hook that it seems on-hook.
    of_lines(
        "short_loop",
        clears="when `linetap line learn` has learned the line, or it was off-hook at a normal voltage",
        text_ko="{lines}은 수화기를 들어도 전압이 높습니다. 통화가 시작된 것을 감지하지 못할 수 있습니다.",
        text_en="{lines}: the voltage stays high off-hook. The beginning of a call may not be detected.",
        action_ko="수화기를 내려놓고 linetap line learn {first} 명령을 실행하십시오. 드라이버는 필요 없습니다.",
        action_en="put the handset down and run linetap line learn {first}. No screwdriver is needed.",
    ),
    # The mains and its harmonics are loud on a line.
    of_lines(
        "hum",
        clears="when the hum is 3 dB below the limit",
        text_ko="{lines}에 전원 잡음(험)이 큽니다. 말소리가 묻힐 수 있습니다.",
        text_en="{lines}: mains hum is loud and may cover speech.",
        action_ko=(
            "{lines}의 배선이 전원선 옆을 지나는지, 피복이 벗겨져 접지에 닿는지 보고 드라이버로 단자를 다시 조이십시오."
        ),
        action_en=(
            "check whether the wires of {lines} run beside mains cables or touch earth, and tighten their terminals "
            "with a screwdriver."
        ),
    ),
    # Speech on a line is so loud that it clips again and again in a call.
    of_lines(
        "clipped",
        clears="when a whole call was without clipping",
        text_ko="{lines}의 소리가 너무 커서 일그러집니다.",
        text_en="{lines}: speech is too loud and clips.",
        action_ko="코덱에서 {lines} 채널의 입력 이득을 6 dB 낮추십시오. 이득 조절 나사가 있으면 드라이버로 돌리십시오.",
        action_en="lower the input gain of {lines} at the codec by 6 dB, with a screwdriver where it has a trimmer.",
    ),
    # In a whole call the sound was never louder than a whisper.
    of_lines(
        "too_quiet",
        clears="when a call on it was loud enough",
        text_ko="{lines}의 통화 소리가 너무 작습니다.",
        text_en="{lines}: a whole call was far too quiet.",
        action_ko="드라이버로 {lines}의 단자를 조이고, 그대로면 코덱에서 그 채널의 입력 이득을 올리십시오.",
        action_en=(
            "tighten the terminals of {lines} with a screwdriver; if it stays quiet, raise the input gain of its "
            "channel at the codec."
        ),
    ),
    # A line is off-hook for long without voice or digits: a receiver off its cradle.
    of_lines(
        "stuck_off_hook",
        clears="when the handset is down, or when there is speech or dialling",
        text_ko="{lines}의 수화기가 오래 들려 있습니다. 전화를 받을 수 없습니다.",
        text_en="{lines}: off-hook for long without speech. It cannot be called.",
        action_ko=(
            "{lines} 전화기의 수화기를 바로 놓으십시오. 놓여 있으면 드라이버로 단자를 풀어 선이 서로 닿는지 보십시오."
        ),
        action_en=(
            "put the receiver of {lines} back. If it is on its cradle, open the terminals with a screwdriver and "
            "check whether the wires touch."
        ),
    ),
    # A member of staff has marked the call in progress as abusive. The caller is not named.
    of_lines(
        "call_marked",
        clears="when the call ends",
        of_a_call=True,
        text_ko="{lines}: 직원이 진행 중인 통화를 악성 민원으로 표시했습니다.",
        text_en="{lines}: the staff member has marked the call in progress as abusive.",
        action_ko="{lines}의 직원을 도우십시오. 기기는 손대지 않아도 되며 드라이버는 필요 없습니다.",
        action_en="help the member of staff at {lines}. The unit is in order, and no screwdriver is needed.",
    ),
    # Staff, or the longest time, end the call in progress.
    of_lines(
        "call_ending",
        clears="when the call ends, or staff stop its notice",
        of_a_call=True,
        text_ko="{lines}: 진행 중인 통화의 종료 안내가 나가고 있거나 나갔습니다.",
        text_en="{lines}: the call in progress is being ended, and its caller is told why.",
        action_ko=(
            "{lines}의 직원을 도우십시오. 안내가 끝나도 통화가 이어지면 직원이 수화기를 내려놓아야 합니다. 드라이버는 "
            "필요 없습니다."
        ),
        action_en=(
            "help the member of staff at {lines}. If the call goes on after the notice, they have to hang up. No "
            "screwdriver is needed."
        ),
    ),
    # A code was dialled in a call, but not certainly on the line's own telephone.
    of_lines(
        "mark_far",
        clears="when the call ends",
        of_a_call=True,
        text_ko="{lines}: 표시 번호나 종료 번호가 이 회선의 전화기에서 눌렸는지 확인되지 않아 따르지 않았습니다.",
        text_en="{lines}: a code to mark or end the call came, or may have come, from the far end. It was ignored.",
        action_ko=(
            "직원에게 확인하십시오. 직원이 눌렀다면 그 전화기로 외부에 한 번 전화하거나 linetap line learn {first} "
            "명령을 실행하십시오. 기기가 그 전화기를 구별하게 됩니다. 드라이버는 필요 없습니다."
        ),
        action_en=(
            "ask the member of staff. If they did dial it, one outgoing call with that telephone teaches the unit its "
            "tones, as does linetap line learn {first}. No screwdriver is needed."
        ),
    ),
    # A call has exceeded the recommended time.
    of_lines(
        "long_call",
        clears="when the call ends",
        of_a_call=True,
        text_ko="{lines}: 통화가 권장 시간을 넘었습니다.",
        text_en="{lines}: the call is longer than the recommended time.",
        action_ko="{lines}의 직원에게 도움이 필요한지 물어보십시오. 드라이버는 필요 없습니다.",
        action_en="ask the member of staff at {lines} whether help is needed. No screwdriver is needed.",
    ),
)
