# SPDX-License-Identifier: Apache-2.0
"""The registry of codecs, by their names in unit.toml and in records. The first codec is the default."""

from __future__ import annotations

from linetap_core.codecs.codec import Codec
from linetap_core.codecs.mulaw import MuLaw
from linetap_core.codecs.opus import Opus
from linetap_core.errors import Refusal

MULAW: Codec = MuLaw()
CODECS: dict[str, Codec] = {codec.name: codec for codec in (MULAW, Opus())}


class UnknownCodec(Refusal):
    """A codec that this version does not have."""

    code = "codec_unknown"


def codec_named(name: str) -> Codec:
    """The codec of this name. UnknownCodec lists the known names."""
    if (codec := CODECS.get(name)) is None:
        raise UnknownCodec(f"codec {name!r} is not known; {' or '.join(CODECS)} expected")
    return codec
