# SPDX-License-Identifier: Apache-2.0
"""reporter_dead: the reporter does not run. `linetap check` and the panel say it; the desk sees the unit offline."""

from __future__ import annotations

from linetap.checks.dead import of_service

CHECK = of_service(
    "reporter",
    text_ko="reporter 서비스가 멈췄습니다. 녹음은 계속되고 보고는 기기에 쌓입니다.",
    text_en="The reporter has stopped. Recording goes on, and reports wait in the unit.",
    seen=lambda services: services.reporter,
)
