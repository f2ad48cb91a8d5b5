# SPDX-License-Identifier: Apache-2.0
"""recorder_dead: the recorder does not run, follows nothing although there is audio, or one of its threads hangs."""

from __future__ import annotations

from linetap.checks.codec_stalled import gives_no_audio
from linetap.checks.dead import is_gone, of_service
from linetap.checks.watch import Services


def is_dead(services: Services) -> bool:
    """A recorder that has nothing to read cannot get on: only beside a capture that does
    is it stuck."""
    if services.recorder.word is not None and services.recorder.word.standing:
        return True
    fed = any(not gives_no_audio(seen) and seen.moving_ns > 0 for seen in services.capture.values())
    return is_gone(services.recorder) if not services.recorder.stuck else fed


def code(services: Services) -> str | None:
    """What it ended with, or which of its threads stands still."""
    recorder = services.recorder
    if recorder.word is not None and recorder.word.standing:
        return ", ".join(f"{name}_stands" for name in recorder.word.standing)
    return recorder.fault


CHECK = of_service(
    "recorder",
    text_ko="recorder 서비스가 멈췄습니다. 링 버퍼보다 오래 멈추면 통화를 잃습니다.",
    text_en="The recorder has stopped. What is said while it is away longer than the ring is long is lost.",
    seen=lambda services: services.recorder,
    is_dead=is_dead,
    code=code,
)
