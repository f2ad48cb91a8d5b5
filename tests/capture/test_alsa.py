# SPDX-License-Identifier: Apache-2.0
"""Checks of a device's granted parameters, and of the library: pyalsaaudio reports lost audio from 0.11 on."""

from __future__ import annotations

import pytest

from linetap.capture.alsa import require_pyalsaaudio, require_same_parameters
from linetap.config.schema import Card
from linetap_core.errors import DeviceFault

CARD = Card(rate_hz=48000, channels=8, buffer_ms=200)
GIVEN = {"rate": 48000, "format_name": "S16_LE", "channels": 8, "period_size": 480, "buffer_size": 9600}


def test_as_asked_is_silent() -> None:
    require_same_parameters("hw:0", CARD, GIVEN)
    require_same_parameters("hw:0", CARD, GIVEN | {"buffer_size": 19200})


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("rate", 44100, "rate 48000 asked, 44100 given"),
        ("format_name", "S32_LE", "format S16_LE asked, S32_LE given"),
        ("channels", 2, "channels 8 asked, 2 given"),
        ("period_size", 512, "period_size 480 asked, 512 given"),
        ("buffer_size", 4800, "buffer of 9600 frames requested, 4800 given"),
        ("buffer_size", None, "buffer of 9600 frames requested, None given"),
    ],
)
def test_any_difference_is_named(key: str, value: object, says: str) -> None:
    with pytest.raises(DeviceFault, match=says) as caught:
        require_same_parameters("hw:0", CARD, GIVEN | {key: value})
    assert caught.value.code == "codec_mismatch"


@pytest.mark.parametrize("version", ["0.10.0", "0.9.2", "0"])
def test_old_library_is_refused(version: str) -> None:
    with pytest.raises(DeviceFault, match=r"at least 0\.11") as caught:
        require_pyalsaaudio(version)
    assert caught.value.code == "pyalsaaudio_old"


@pytest.mark.parametrize("version", [None, "0.11.0", "0.12.1", "1.0"])
def test_new_library_is_taken(version: str | None) -> None:
    require_pyalsaaudio(version)
