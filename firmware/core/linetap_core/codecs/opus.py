# SPDX-License-Identifier: Apache-2.0
"""Opus at a constant rate as one Ogg stream (RFC 6716, 7845, 3533): 23.8 kbit/s, with its pages 3.2 kB a second.

Every page but the last has 512 bytes and 160 ms. The samples of a page therefore follow from its position, a chunk of
an age file ends at the end of a page, a truncated stream plays to its last page, and sizes reveal nothing of the
speech. The pages are written here, since they are the form of the evidence; the packets come from libopus by its stable
ABI. Quality and cost of rate and complexity: decision 0133.

An encoder that begins within a call first encodes the 80 ms before its begin, the time in which a decoder settles (RFC
7845, 4.6). The stream then continues in the same pages, for the same decoder.
"""

from __future__ import annotations

import ctypes
import struct
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from linetap_core.codecs.codec import RATE_HZ, CodecMissing, Undecodable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LIBRARY = "libopus.so.0"
PAGE_BYTES = 512
PACKETS = 8  # in a page
PACKET = 160  # samples, 20 ms
PAGE = PACKETS * PACKET
DELAY = 52  # samples, libopus' delay at 8 kHz: 6.5 ms (OPUS_GET_LOOKAHEAD), the stream's pre-skip
_PRE_ROLL = 4  # packets
_OUT = 6  # a granule position counts at 48 kHz
_SHORT = 59  # bytes of a packet; the last five of a page have one more
_LONG = 5
_PAGE_HEAD = struct.Struct("<4sBBqIIIB")
_SERIAL = 0x4C545031
_FIRST, _LAST = 2, 4  # flags of a page
_LACED = 255  # a packet's length in a page is a sum of this value and a rest

_APPLICATION_AUDIO = 2049  # the application VOIP removes low frequencies
_SET = {
    4002: -1,  # bit rate: the maximum, which fills each packet's given size
    4006: 0,  # no variable rate
    4008: 1101,  # narrowband
    4010: 1,  # complexity
    4024: 3001,  # signal: voice
}
_NO_PREDICTION = 4046
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Opus:
    name = "opus"
    suffix = ".opus"
    unit = PAGE
    delay = DELAY

    @property
    def header(self) -> bytes:
        """The header: two pages, together as long as one page of audio."""
        return _header()

    def require(self) -> None:
        _library()

    def samples(self, stream_bytes: int) -> int:
        return max(0, PAGE * (stream_bytes // PAGE_BYTES - 1) - DELAY)

    def possible(self, stream_bytes: int) -> range:
        pages, rest = divmod(stream_bytes, PAGE_BYTES)
        packets = _LAST_PAGES.get(rest)
        if pages < 1 or (rest and packets is None):
            return range(0)
        most = PAGE * (pages - 1) + PACKET * (packets or 0) - DELAY
        return range(max(0, most - PACKET + 1), most + 1) if packets else range(max(0, most), max(0, most) + 1)

    def offset(self, sample: int) -> int:
        return PAGE_BYTES * (1 + (sample + DELAY) // PAGE)

    def encoder(self, first: int) -> OpusEncoder:
        return OpusEncoder(first)

    def decoder(self) -> OpusDecoder:
        return OpusDecoder()


class OpusEncoder:
    """The encoder. Packet n has the samples from 160 n - 52 on, from any encoder."""

    def __init__(self, first: int) -> None:
        import numpy as np

        self._page, off = divmod(first + DELAY, PAGE) if first else (0, 0)
        if off:
            raise ValueError(f"no page begins with sample {first}")
        self._lib = _library()
        self._state = ctypes.create_string_buffer(self._lib.opus_encoder_get_size(1))
        _check(self._lib.opus_encoder_init(self._state, RATE_HZ, 1, _APPLICATION_AUDIO))
        for request, value in _SET.items():
            self._set(request, value)
        self._discarded = min(_PRE_ROLL, self._page * PACKETS)
        if first:
            self._set(_NO_PREDICTION, 1)
        self.position = first
        self.taken = (self._page * PACKETS - self._discarded) * PACKET
        self._rest = np.zeros(0, np.int16)
        self._packets: list[bytes] = []

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        import numpy as np

        self.taken += len(samples)
        self._rest = np.concatenate([self._rest, samples])
        whole = len(self._rest) // PACKET * PACKET
        pages = []
        for at in range(0, whole, PACKET):
            page = self._encode_packet(self._rest[at : at + PACKET])
            if page:
                pages.append(page)
        self._rest = self._rest[whole:]
        return b"".join(pages)

    def finish(self) -> bytes:
        import numpy as np

        if self.taken <= self.position:
            return b""
        packets = -(-(self.taken + DELAY) // PACKET) - self._page * PACKETS
        end, pages = self.taken, []
        while len(self._packets) < packets:
            padded = np.zeros(PACKET, np.int16)
            padded[: len(self._rest)] = self._rest
            self._rest = self._rest[:0]
            is_last = len(self._packets) + 1 == packets
            if page := self._encode_packet(padded, is_last=is_last):
                pages.append(page)
                packets -= PACKETS
        pages.append(_page(_LAST, (end + DELAY) * _OUT, self._page + 2, self._packets))
        self._packets = []
        self.position = self.taken = end
        return b"".join(pages)

    def _encode_packet(self, samples: NDArray[np.int16], *, is_last: bool = False) -> bytes:
        """Encodes a packet; returns the page if the packet completes it. The last packet of a stream completes no page:
        a whole page has 512 bytes."""
        import numpy as np

        number = len(self._packets)
        size = _SHORT + (number >= PACKETS - _LONG and not (is_last and number == PACKETS - 1))
        pcm, packet = np.ascontiguousarray(samples), ctypes.create_string_buffer(size)
        got = self._lib.opus_encode(self._state, pcm.ctypes.data, PACKET, packet, size)
        if got != size:
            raise ValueError(f"libopus gave {got} for a packet of {size} bytes")
        if self._discarded:
            self._discarded -= 1
            return b""
        if self._page and not number:
            self._set(_NO_PREDICTION, 0)
        self._packets.append(packet.raw)
        if len(self._packets) < PACKETS or is_last:
            return b""
        page = _page(0, (self._page + 1) * PAGE * _OUT, self._page + 2, self._packets)
        self._page, self._packets = self._page + 1, []
        self.position = self._page * PAGE - DELAY
        return page

    def _set(self, request: int, value: int) -> None:
        _check(self._lib.opus_encoder_ctl(self._state, request, ctypes.c_int32(value)))


class OpusDecoder:
    """The decoder of the pages of OpusEncoder, in order; other pages are Undecodable."""

    def __init__(self) -> None:
        self._lib = _library()
        self._state = ctypes.create_string_buffer(self._lib.opus_decoder_get_size(1))
        _check(self._lib.opus_decoder_init(self._state, RATE_HZ, 1))
        self._number = 0  # number of the next page

    def decode(self, part: Iterable[bytes], samples: int) -> Iterator[NDArray[np.int16]]:
        import numpy as np

        held = 0
        for page in _pages(part):
            if not self._number:
                if page != _header():
                    raise Undecodable("does not begin as an Ogg stream of Opus, as linetap writes it")
                self._number, held = 2, -DELAY
                continue
            packets, first = self._packets(page), held
            held += len(packets) * PACKET
            if held - samples < PACKET:  # of more, all are counted, and none is decoded
                decoded = np.concatenate([self._decoded(packet) for packet in packets])
                yield decoded[max(0, -first) : samples - first]
        held = max(0, held)
        if not 0 <= held - samples < PACKET:
            raise Undecodable(f"{held} samples decoded, {samples} in the record")

    def _packets(self, page: bytes) -> list[bytes]:
        count = PACKETS if len(page) == PAGE_BYTES else _LAST_PAGES.get(len(page), 0)
        head = _PAGE_HEAD.size + count
        lengths = page[_PAGE_HEAD.size : head]
        if not count or head + sum(lengths) != len(page) or _page_again(page, lengths, self._number) != page:
            raise Undecodable(f"page {self._number} is not one that linetap writes")
        self._number += 1
        packets = []
        for length in lengths:
            packets.append(page[head : head + length])
            head += length
        return packets

    def _decoded(self, packet: bytes) -> NDArray[np.int16]:
        import numpy as np

        pcm = np.zeros(PACKET, np.int16)
        if self._lib.opus_decode(self._state, packet, len(packet), pcm.ctypes.data, PACKET, 0) != PACKET:
            raise Undecodable(f"a packet in page {self._number - 1} is not one of 20 ms")
        return pcm


def _pages(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The stream in pieces of PAGE_BYTES, each a page or the two of the header; the last may be shorter."""
    rest = b""
    for block in blocks:
        rest += block
        whole = len(rest) // PAGE_BYTES * PAGE_BYTES
        for at in range(0, whole, PAGE_BYTES):
            yield rest[at : at + PAGE_BYTES]
        rest = rest[whole:]
    if rest:
        yield rest


def _page(flags: int, granule: int, number: int, packets: list[bytes]) -> bytes:
    """An Ogg page (RFC 3533, 6) of whole packets. `granule`: samples at 48 kHz up to its end, with the pre-skip."""
    lacing = b"".join(bytes([_LACED] * (len(packet) // _LACED) + [len(packet) % _LACED]) for packet in packets)
    head = _PAGE_HEAD.pack(b"OggS", 0, flags, granule, _SERIAL, number, 0, len(lacing)) + lacing
    page = bytearray(head + b"".join(packets))
    page[22:26] = _checksum(page).to_bytes(4, "little")
    return bytes(page)


def _page_again(page: bytes, lengths: bytes, number: int) -> bytes:
    """The page with these packets in linetap's form; only the last page's granule position is variable."""
    granule = _PAGE_HEAD.unpack_from(page)[3]
    packets, at = [], _PAGE_HEAD.size + len(lengths)
    for length in lengths:
        packets.append(page[at : at + length])
        at += length
    if len(page) == PAGE_BYTES:
        return _page(0, (number - 1) * PAGE * _OUT, number, packets)
    return _page(_LAST, granule, number, packets)


def _checksum(page: bytes | bytearray) -> int:
    """Ogg's CRC-32: zlib's polynomial with reversed bits, initial value 0, no inversion."""
    found = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(found.to_bytes(4, "little").translate(_REVERSED), "big")


@cache
def _header() -> bytes:
    """OpusHead and OpusTags; a tag packet may be padded with zeros (RFC 7845, 5.2)."""
    head = _page(_FIRST, 0, 0, [struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, DELAY * _OUT, RATE_HZ, 0, 0)])
    vendor = b"linetap"
    tags = struct.pack("<8sI7sI", b"OpusTags", len(vendor), vendor, 0)
    size = PAGE_BYTES - len(head) - _PAGE_HEAD.size - 2  # two lengths in its page: the packet is longer than 255 bytes
    return head + _page(0, 0, 1, [tags.ljust(size, b"\0")])


def _last_size(packets: int) -> int:
    """The size of a last page of `packets` packets."""
    long = max(0, packets - (PACKETS - _LONG)) - (packets == PACKETS)
    return _PAGE_HEAD.size + packets * (1 + _SHORT) + long


_LAST_PAGES = {_last_size(packets): packets for packets in range(1, PACKETS + 1)}


@cache
def _library() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise CodecMissing(f"codec 'opus' needs {LIBRARY}, Debian's libopus0: {error}") from None
    state, data, count = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int
    lib.opus_encoder_init.argtypes = [state, ctypes.c_int32, count, count]
    lib.opus_encode.argtypes = [state, data, count, ctypes.c_char_p, ctypes.c_int32]
    lib.opus_decoder_init.argtypes = [state, ctypes.c_int32, count]
    lib.opus_decode.argtypes = [state, ctypes.c_char_p, ctypes.c_int32, data, count, count]
    return lib


def _check(status: int) -> None:
    if status:
        raise ValueError(f"libopus: error {status}")
