# SPDX-License-Identifier: Apache-2.0
"""Checks of single line cards: capture, codec, line meter and housing."""

from __future__ import annotations

from collections.abc import Callable

from linetap.checks.frame import Check, Snapshot, Trouble, Words
from linetap.checks.watch import Seen
from linetap_core.clock import NS_PER_MS, RECENT_S
from linetap_core.records import CaptureState, MeterState

STEADY_MS = 3000  # duration of audio that clears the fault: a capture that restarts in a loop is no cure
OF_THE_CODEC = ("codec_stalled", "codec_absent", "codec_mismatch")
WARN_OVERRUNS = 3  # within RECENT_S; a busy machine has one a month
CRITICAL_OVERRUNS = 30


def of_cards(
    check_id: str,
    *,
    clears: str,
    text_ko: str,
    text_en: str,
    action_ko: str,
    action_en: str,
    is_ill: Callable[[Seen[CaptureState]], bool],
    steady: bool = False,
    by_meter: bool = False,
) -> Check:
    """Returns a check of the faulty cards. `steady`: a faulty card stays in a standing finding until it has worked for
    some time. `by_meter`: only the report of the card's connected meter clears the finding.

    In the texts {cards} are the cards' numbers and {units} their services.
    """

    def find(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
        captures = snapshot.services.capture
        ill = [card for card, seen in captures.items() if is_ill(seen)]
        if steady:
            ill = sorted({*ill, *_uncleared(snapshot, standing, _is_steady)})
        if by_meter:
            ill = sorted({*ill, *_uncleared(snapshot, standing, _hears_meter)})
        if not ill:
            return None
        cards = ", ".join(str(card) for card in ill)
        units = " ".join(f"linetap-capture@{card}" for card in ill)
        return Words(
            cards=tuple(ill),
            text_ko=text_ko.format(cards=cards, units=units),
            text_en=text_en.format(cards=cards, units=units),
            action_ko=action_ko.format(cards=cards, units=units),
            action_en=action_en.format(cards=cards, units=units),
        )

    return Check(check_id, clears, find)


def _uncleared(
    snapshot: Snapshot, standing: Trouble | None, clears: Callable[[Seen[CaptureState]], bool]
) -> tuple[int, ...]:
    """The cards of the standing trouble that their own reports do not clear now; another card's report cannot."""
    captures = snapshot.services.capture
    return tuple(
        card for card in (standing.cards if standing else ()) if card in captures and not clears(captures[card])
    )


def _hears_meter(capture: Seen[CaptureState]) -> bool:
    state = capture.live
    return state is not None and (state.meter is None or state.meter.connected)


def _is_steady(capture: Seen[CaptureState]) -> bool:
    return capture.moving_ns >= STEADY_MS * NS_PER_MS


def _is_alive(capture: Seen[CaptureState]) -> bool:
    return capture.live is not None


def _connected_meters(snapshot: Snapshot) -> dict[int, MeterState]:
    """The reports of the connected meters, by card."""
    lives = {card: seen.live for card, seen in snapshot.services.capture.items()}
    return {card: live.meter for card, live in lives.items() if live and live.meter and live.meter.connected}


def _is_dead(capture: Seen[CaptureState]) -> bool:
    return capture.status == "dead" and capture.unwritten is None and capture.fault not in OF_THE_CODEC


def _has_no_codec(capture: Seen[CaptureState]) -> bool:
    """Whether the codec is absent, with capture dead or alive: between two attempts to open it, it is still absent."""
    return capture.fault == "codec_absent"


def _has_another_codec(capture: Seen[CaptureState]) -> bool:
    """Whether the codec has other parameters, with capture dead or alive. The panel uses this function too."""
    return capture.fault == "codec_mismatch"


def gives_no_audio(capture: Seen[CaptureState]) -> bool:
    """Whether no audio arrives, for any reason."""
    return capture.status == "dead" or _has_stalled(capture)


def _has_stalled(capture: Seen[CaptureState]) -> bool:
    return capture.fault == "codec_stalled" or (capture.status == "alive" and capture.stuck)


def _is_open(capture: Seen[CaptureState]) -> bool:
    """Whether the housing is open. The last report of a dead capture counts: its death does not close the housing."""
    return capture.state is not None and capture.state.meter is not None and capture.state.meter.tamper


def _is_failing(capture: Seen[CaptureState]) -> bool:
    state = capture.live
    return state is not None and state.meter is not None and state.meter.connected and state.meter.power_fail


def _overruns_of(capture: Seen[CaptureState]) -> int:
    return capture.live.overruns_lately if capture.live is not None else 0


def _has_too_many(capture: Seen[CaptureState]) -> bool:
    return _overruns_of(capture) >= WARN_OVERRUNS


def overruns(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
    """Capture was too late for its codec several times within ten minutes. Each time leaves a gap in the calls."""
    captures = snapshot.services.capture
    found = [(card, seen) for card, seen in captures.items() if _has_too_many(seen)]
    if not found:
        return standing if _uncleared(snapshot, standing, _is_alive) else None
    minutes = RECENT_S // 60
    ko = ", ".join(f"카드 {card}: {_overruns_of(seen)}번" for card, seen in found)
    en = ", ".join(f"card {card}: {_overruns_of(seen)}" for card, seen in found)
    return Words(
        cards=tuple(card for card, _ in found),
        mere_warning=all(_overruns_of(seen) < CRITICAL_OVERRUNS for _, seen in found),
        text_ko=f"{minutes}분 사이에 소리가 여러 번 끊겼습니다 ({ko}).",
        text_en=f"Audio was lost several times within {minutes} min ({en}).",
        action_ko="코덱의 USB 케이블과 전원을 확인하고, 허브를 거치지 말고 기기에 바로 꽂으십시오.",
        action_en="Check the codec's USB cable and supply, and plug it directly into the unit, not into a hub.",
    )


def _is_silent(capture: Seen[CaptureState]) -> bool:
    """Whether the meter of a living capture is silent. A dead capture has its own alert."""
    state = capture.live
    return state is not None and state.meter is not None and not state.meter.connected


def meter_absent(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
    """A card's line meter does not answer: its calls are followed by sound alone, and no notice reaches its lines."""
    captures = snapshot.services.capture
    silent = {card for card, seen in captures.items() if _is_silent(seen)}
    silent.update(_uncleared(snapshot, standing, _is_alive))
    if not silent:
        return None
    cards = ", ".join(map(str, sorted(silent)))
    return Words(
        cards=tuple(sorted(silent)),
        text_ko=(
            f"카드 {cards}의 회선 계측기가 응답하지 않습니다. 진행 중인 통화는 소리만으로 계속 녹음하나, 새 통화에는 "
            "안내 방송을 내보내지 못합니다."
        ),
        text_en=(
            f"Card {cards}: the line meter is not answering. Calls in progress are still recorded, by their sound "
            "alone; to new calls no notice can be played."
        ),
        action_ko=(f"카드 {cards}의 USB 케이블을 뽑았다가 다시 꽂으십시오. 계속되면 카드를 교체하십시오."),
        action_en=f"Unplug the USB cable of card {cards} and plug it in again; if it continues, replace the card.",
    )


def converter_unset(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
    """The meter reports that a converter has lost its gain and format settings, or does not answer."""
    meters = _connected_meters(snapshot)
    found = [f"{card}-{number}" for card, meter in meters.items() for number in meter.unset]
    if not found:
        return standing if _uncleared(snapshot, standing, _hears_meter) else None
    which = ", ".join(found)
    return Words(
        cards=tuple(card for card, meter in meters.items() if meter.unset),
        text_ko=(
            f"음성 변환기 {which}(카드-번호)의 설정이 확인되지 않습니다. 1번은 회선 1-4, 2번은 회선 5-8을 맡으며, 해당 "
            "회선은 13 dB 작게 녹음되거나 소리가 깨질 수 있습니다."
        ),
        text_en=(
            f"Audio converter {which} (card-number) is not set as it has to be. Number 1 has lines 1 to 4, 2 has "
            "lines 5 to 8: they may be recorded 13 dB too quiet, or distorted."
        ),
        action_ko=(
            "해당 회선의 녹음을 들어 확인하십시오. 경보가 계속되면 기기의 전원을 껐다 켜고, 그래도 해소되지 않으면 "
            "카드를 교체하십시오."
        ),
        action_en="Listen to a recording of these lines. Switch the unit off and on; if it goes on, replace the card.",
    )


CHECKS = (
    # A card's capture does not run, for a reason other than its codec.
    of_cards(
        "capture_dead",
        clears=f"when it runs and has delivered audio for {STEADY_MS // 1000} s without a break",
        text_ko="카드 {cards}의 capture 서비스가 멈췄습니다. 그 카드의 통화는 녹음되지 않습니다.",
        text_en="Card {cards}: capture has stopped. The calls of that card are not recorded.",
        action_ko="저절로 다시 시작합니다. 그대로면 systemctl status {units} 명령으로 원인을 확인하십시오.",
        action_en="It restarts automatically. If it stays dead, see the reason: systemctl status {units}",
        is_ill=_is_dead,
        steady=True,
    ),
    # Capture finds no codec under the configured name. It keeps trying.
    of_cards(
        "codec_absent",
        clears="when capture has opened the codec and writes audio",
        text_ko="카드 {cards}의 코덱이 없습니다. 그 카드의 통화는 녹음되지 않습니다.",
        text_en="Card {cards}: the codec is missing. The calls of that card are not recorded.",
        action_ko=(
            "코덱의 케이블을 다시 꽂으십시오. 카드가 여럿이면 카드마다 정해진 USB 단자에 꽂아야 합니다. 그대로면 "
            "카드를 교체하십시오. 연결된 코덱은 arecord -l, 원인은 "
            "journalctl --namespace=+linetap -u {units} 명령으로 봅니다."
        ),
        action_en=(
            "Plug the codec's cable in again; each of several cards has a USB port of its own. If the alert stays, "
            "replace the card. arecord -l lists the codecs, "
            "journalctl --namespace=+linetap -u {units} shows the reason."
        ),
        is_ill=_has_no_codec,
    ),
    # The codec does not have the configured channels, rate or format. Capture refuses it: a shifted channel would store
    # a call under another line.
    of_cards(
        "codec_mismatch",
        clears="when the codec matches the configuration",
        text_ko="카드 {cards}의 코덱이 설정과 다릅니다 (채널 수, 속도, 형식). 그 카드의 통화는 녹음되지 않습니다.",
        text_en=(
            "Card {cards}: the codec does not match the configuration (channels, rate, format). The calls of that card "
            "are not recorded."
        ),
        action_ko=(
            "코덱을 바꾸었는지 확인하십시오. 무엇이 다른지는 journalctl --namespace=+linetap -u {units} "
            "명령으로 보고, 원래 코덱을 꽂거나 unit.toml의 [[card]]를 고치십시오."
        ),
        action_en=(
            "Find out whether the codec was changed. journalctl --namespace=+linetap -u {units} shows the difference: "
            "plug in the right one, or correct [[card]] in unit.toml."
        ),
        is_ill=_has_another_codec,
    ),
    # A card with lines delivers no audio: its capture gets no period, or ended for that reason. A missing capture is
    # capture_dead.
    of_cards(
        "codec_stalled",
        clears=f"when every card has delivered audio for {STEADY_MS // 1000} s without a break",
        text_ko="카드 {cards}에서 소리가 들어오지 않아 통화를 녹음하지 못합니다.",
        text_en="Card {cards} delivers no audio: its calls are not recorded.",
        action_ko=(
            "코덱의 케이블과 전원을 확인하고, 계속되면 카드를 교체하십시오. 로그: "
            "journalctl --namespace=+linetap -u {units}"
        ),
        action_en=(
            "Check the codec's cable and supply; if it continues, replace the card. Log: "
            "journalctl --namespace=+linetap -u {units}"
        ),
        is_ill=_has_stalled,
        steady=True,
    ),
    Check(
        "overruns",
        clears=f"when there were fewer than {WARN_OVERRUNS} within {RECENT_S // 60} min",
        find=overruns,
    ),
    # A card's supply is gone, and its capacitors supply the unit for some seconds; or the card's report is wrong.
    of_cards(
        "power_failing",
        clears="when the card's meter reports the supply as good",
        text_ko="카드 {cards}의 전원 입력이 끊겼습니다. 축전기로 몇 초 동안만 동작합니다.",
        text_en="Card {cards}: the supply has failed. The unit runs on capacitors, for some seconds.",
        action_ko="12 V 어댑터와 플러그를 확인하십시오. 기기가 계속 켜져 있으면 카드를 교체하십시오.",
        action_en="Check the adapter of 12 V and its plug. If the unit stays on for minutes, replace the card.",
        is_ill=_is_failing,
        by_meter=True,
    ),
    # The housing is open according to the line meter's tamper switch.
    of_cards(
        "unit_opened",
        clears="when the tamper switch is closed again",
        text_ko="기기의 뚜껑이 열려 있습니다 (카드 {cards}).",
        text_en="The housing is open (card {cards}).",
        action_ko="개방한 사람과 이유를 확인하고 드라이버로 뚜껑 나사를 모두 조이십시오.",
        action_en="Find out who opened it and why, then close the lid and tighten all its screws with a screwdriver.",
        is_ill=_is_open,
        by_meter=True,
    ),
    Check("meter_absent", clears="when the meter sends frames again", find=meter_absent),
    Check("converter_unset", clears="when the meter has found the converter set for a round", find=converter_unset),
)
