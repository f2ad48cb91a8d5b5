# SPDX-License-Identifier: Apache-2.0
"""panel_dead: the panel does not run: the LEDs are dark, and nobody in the closet learns anything from them."""

from __future__ import annotations

from linetap.checks.dead import of_service

CHECK = of_service(
    "panel",
    text_ko="panel 서비스가 멈췄습니다. LED가 꺼져 있어도 녹음은 계속됩니다.",
    text_en="The panel has stopped. The LEDs are dark, and recording goes on.",
    seen=lambda services: services.panel,
)
