# SPDX-License-Identifier: Apache-2.0
"""The notice as the citizen hears it: its overlap with the greeting, and its intelligibility.

Intelligibility is the short-time objective measure STOI: C. H. Taal, R. C. Hendriks, R. Heusdens, J. Jensen, "An
Algorithm for Intelligibility Prediction of Time-Frequency Weighted Noisy Speech", IEEE Transactions on Audio, Speech
and Language Processing 19 (2011). From 0 to 1; above 0.9 listeners understand nearly every word.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import butter, fftconvolve, resample_poly, sosfiltfilt

from linetap.board.frontend import CAPTURED_DB, ECHO_DB
from linetap.config.numbers import GreetingNumbers, NoticeNumbers
from linetap.config.schema import Recording
from linetap.learned import Learned
from linetap.notices import Notice, load_notices
from linetap.notices.level import gain_db, level_of, raised
from linetap.recorder.signals.notice.greeting import has_ended
from linetap.ring import I16, RATE_HZ
from linetap_bench.exchange.feed import Played, read_played
from linetap_bench.figures import Row
from linetap_bench.script.script import load_script
from linetap_bench.script.timing import times_of
from linetap_bench.sounds.synth import rms_of
from linetap_bench.sounds.voices import Voices
from linetap_bench.stage.stage import READY_S, Stage
from linetap_core.clock import parse_rfc3339
from linetap_core.codecs import g711
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord

F64 = npt.NDArray[np.float64]

STOI_RATE_HZ = 10_000
FRAME, HOP, LENGTH = 256, 128, 512
BANDS, LOWEST_HZ = 15, 150.0
SEGMENT = 30  # frames: 384 ms
SILENT_BELOW_DB = 40.0
WORST_SDR_DB = -15.0  # the lower limit for a cell
_WINDOW = np.hanning(FRAME + 2)[1:-1]
_TINY = np.finfo(np.float64).eps


def stoi(clean: F64, received: F64, rate_hz: int) -> float:
    """STOI of two aligned signals (n,). ValueError with fewer than SEGMENT frames of speech."""
    if rate_hz != STOI_RATE_HZ:
        common = int(np.gcd(rate_hz, STOI_RATE_HZ))
        clean, received = (resample_poly(x, STOI_RATE_HZ // common, rate_hz // common) for x in (clean, received))
    clean, received = _spoken(clean, received)
    x, y = _bands(clean), _bands(received)
    if x.shape[1] < SEGMENT:
        raise ValueError(f"{x.shape[1]} frames of speech; at least {SEGMENT} are needed")
    # (bands, segments, SEGMENT)
    x, y = (sliding_window_view(each, SEGMENT, axis=1) for each in (x, y))
    y = y * np.sqrt(np.square(x).sum(-1, keepdims=True) / (np.square(y).sum(-1, keepdims=True) + _TINY))
    y = np.minimum(y, x * (1 + 10 ** (-WORST_SDR_DB / 20)))
    x, y = (each - each.mean(-1, keepdims=True) for each in (x, y))
    like = (x * y).sum(-1) / (np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1) + _TINY)
    return float(like.mean())


def _spoken(clean: F64, received: F64) -> tuple[F64, F64]:
    """Both signals without the frames in which the first is silent."""
    frames = [sliding_window_view(each, FRAME)[: len(each) - FRAME : HOP] * _WINDOW for each in (clean, received)]
    level_db = 20 * np.log10(np.linalg.norm(frames[0], axis=1) + _TINY)
    kept = level_db > level_db.max() - SILENT_BELOW_DB
    joined = []
    for each in frames:
        sound = np.zeros((int(kept.sum()) - 1) * HOP + FRAME)
        for place, frame in enumerate(each[kept]):
            sound[place * HOP : place * HOP + FRAME] += frame
        joined.append(sound)
    return joined[0], joined[1]


def _bands(sound: F64) -> F64:
    """Amplitude in each third-octave band, (BANDS, frames)."""
    frames = sliding_window_view(sound, FRAME)[: len(sound) - FRAME : HOP] * _WINDOW
    power = np.square(np.abs(np.fft.rfft(frames, LENGTH)))
    hz = np.fft.rfftfreq(LENGTH, 1 / STOI_RATE_HZ)
    centres = LOWEST_HZ * 2 ** (np.arange(BANDS) / 3)
    edges = [
        (int(np.argmin(np.abs(hz - c * 2 ** (-1 / 6)))), int(np.argmin(np.abs(hz - c * 2 ** (1 / 6))))) for c in centres
    ]
    amplitudes: F64 = np.sqrt(np.stack([power[:, low:high].sum(axis=1) for low, high in edges]))
    return amplitudes


GREETINGS = (
    "네, 민원실입니다.",
    "네, 시청 민원실 김민수입니다.",
    "감사합니다. 민원여권과 이영희입니다.",
    "안녕하십니까? 종로구청 민원실 박지훈입니다. 무엇을 도와드릴까요?",
    "정성을 다하겠습니다. 세무과 최수진입니다.",
    "네, 복지정책과입니다.",
    "여보세요.",
    "네.",
)
BEGINS_MS = (200, 600, 1000)  # after the answer: a person needs time to bring the handset to the ear
NEAR_DBM0, NOISE_DBM0 = -14.0, -60.0
LOOKS_EVERY = RATE_HZ // 20

LOSS_DB, FLOOR_DBM0 = 12.0, -55.0
BAND_HZ = (300, 3400)
UNDERSTOOD = 0.9
NEVER = "1970-01-01T00:00:00.000Z"


def greeting_rows(voices: Path) -> list[Row]:
    """The share of a greeting that the notice overlaps, on average."""
    spoken, policy, numbers, rng = Voices(voices), Recording(), GreetingNumbers(), np.random.default_rng(8)
    before, after, waits = [], [], []
    for text in GREETINGS:
        greeting = spoken.say(text, "ko", "staff").astype(np.float64)
        greeting *= 10 ** ((NEAR_DBM0 - level_of(_int16(greeting), RATE_HZ)) / 20)
        for begins_ms in BEGINS_MS:
            first, last = begins_ms * RATE_HZ // 1000, begins_ms * RATE_HZ // 1000 + _spoken_until(greeting)
            received = rng.normal(0, rms_of(NOISE_DBM0), first + len(greeting) + 6 * RATE_HZ)
            received[first : first + len(greeting)] += greeting
            plain, waited = policy.notice_delay_ms * RATE_HZ // 1000, _begins(_int16(received), policy, numbers)
            before.append(max(0, last - max(first, plain)) * 1000 / RATE_HZ)
            after.append(max(0, last - max(first, waited)) * 1000 / RATE_HZ)
            waits.append((waited - last) * 1000 / RATE_HZ)
    method = (
        f"mean of {len(after)}: {len(GREETINGS)} greetings of espeak-ng (ko), begun {BEGINS_MS} ms after the answer; "
        f"before: {policy.notice_delay_ms} ms after the answer; the notice begins {np.median(waits):.0f} ms (median) "
        f"behind the greeting, {policy.greeting_max_ms} ms after the answer at the latest"
    )
    return [
        Row(
            name="notice: over the greeting", figure=float(np.mean(after)), unit="ms", target=150.0, method=method,
            beside={"before": round(float(np.mean(before)))},
        )
    ]  # fmt: skip


def words_rows(notices: list[Notice]) -> list[Row]:
    """STOI of each notice over a lossy line, at the level for a learnt line, and at the former level."""
    drawn = Learned(echo_db=(ECHO_DB.low + ECHO_DB.high) / 2, learned_at=NEVER)
    numbers = NoticeNumbers(captured_db=(CAPTURED_DB.low + CAPTURED_DB.high) / 2)
    return [_words_row(notice, drawn, numbers) for notice in notices]


def _words_row(notice: Notice, line: Learned, numbers: NoticeNumbers) -> Row:
    by_db = gain_db(notice.samples, line, Recording(), numbers)
    louder = raised(notice.samples, by_db)
    assert line.echo_db is not None
    output_db = line.echo_db - numbers.captured_db
    before, after = (intelligibility(notice.samples, played, output_db) for played in (notice.samples, louder))
    levels = [level_of(played, RATE_HZ) + output_db for played in (notice.samples, louder)]
    method = (
        f"against the file; {LOSS_DB:.0f} dB of loss, noise {FLOOR_DBM0:.0f} dBm0 at the listener, {BAND_HZ[0]} to "
        f"{BAND_HZ[1]} Hz, mu-law; on the line {levels[1]:.1f} dBm0 by {by_db:.1f} dB of gain, before {levels[0]:.1f}"
    )
    return Row(
        name=f"notice: words understood, {notice.id} (STOI)", figure=after, unit="", target=UNDERSTOOD, at_most=False,
        method=method, beside={"before": round(before, 3)},
    )  # fmt: skip


def intelligibility(notice: I16, played: I16, output_db: float) -> float:
    """STOI of `played`, `output_db` louder and through the line, against the notice."""
    sound = played.astype(np.float64) * 10 ** ((output_db - LOSS_DB) / 20)
    sound = sosfiltfilt(butter(2, BAND_HZ, "bandpass", fs=RATE_HZ, output="sos"), sound)
    sound = g711.decode(g711.encode(_int16(sound))).astype(np.float64)
    sound += np.random.default_rng(1).normal(0, rms_of(FLOOR_DBM0), len(sound))
    return stoi(notice / 32768, sound / 32768, RATE_HZ)


def _begins(received: I16, policy: Recording, numbers: GreetingNumbers) -> int:
    """The frame after the answer at which the call table starts the notice."""
    lead, latest = numbers.lead_ms * RATE_HZ // 1000, policy.greeting_max_ms * RATE_HZ // 1000
    now = policy.notice_delay_ms * RATE_HZ // 1000 - lead
    while now + lead < latest and not has_ended(received[:now], numbers):
        now += LOOKS_EVERY
    return now + lead


def _spoken_until(sound: F64) -> int:
    return int(np.flatnonzero(np.abs(sound) > np.abs(sound).max() / 100)[-1]) + 1


def _int16(samples: F64) -> I16:
    out: I16 = np.rint(samples).clip(-32768, 32767).astype(np.int16)
    return out


# --- When a notice begins, over a hundred calls, beside two processes that keep both cores busy -----------------------


LINES, ROUNDS = 8, 13
EVERY_S = 6.0
DEBOUNCE_MS, DELAY_MS = 35, 500
LIMIT_MS = 20.0


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:
    script_path = folder / "calls.toml"
    script_path.write_text(_script())
    (folder / "notices").mkdir()
    short = load_notices(notices)["ko"]
    for suffix in ("wav", "txt"):
        (folder / "notices" / f"ko.{suffix}").write_bytes((notices / f"ko.{suffix}").read_bytes())
    plain = [*greeting_rows(voices), *words_rows(list(load_notices(notices).values()))]
    with Stage(folder) as stage:
        stage.prepare(folder / "notices", {"greeting_max_ms = 6000": "greeting_max_ms = 0"})
        exchange = stage.start_exchange(script_path, folder / "exchange", voices)
        for service in ("capture", "recorder"):
            stage.start(service)
        for number in range(2):
            stage.children.start(f"busy-{number}", [sys.executable, "-c", "while True: pass"])
        exchange.process.wait(READY_S + EVERY_S * (ROUNDS + 2))
        records = records_of(stage.folder / "vault")
    played, lines = read_played(folder / "exchange")
    written = [late_ms(record) for record in records if record.notice]
    received = _heard_late_ms(script_path, played, lines, short.samples)
    return [
        *plain,
        _row("notice: first sample at hook edge + 35 + 500 ms", written, "by the ring's frames, as in the record"),
        _row("notice: as heard back on the line", received - np.median(received),
             f"exchange's own log of the line, less the constant echo path of {np.median(received):.0f} ms"),
    ]  # fmt: skip


def _row(name: str, late_ms: list[float] | np.ndarray[tuple[int], np.dtype[np.float64]], method: str) -> Row:
    error = np.abs(np.asarray(late_ms))
    worst = float(np.percentile(error, 99)) if len(error) else float("inf")
    text = f"p99 of |error| over {len(error)} calls, two busy loops beside it; {method}"
    return Row(name=name, figure=worst, unit="ms", target=LIMIT_MS, method=text)


def _script() -> str:
    calls = [
        f'\n[[call]]\nline = {line}\nstart_s = {0.5 + number * EVERY_S + line * 0.17:.2f}\ndirection = "in"\n'
        "rings = 1\ntalk_after_s = 0.0\ntalk_s = 1.8\nbounce_ms = 0\n"
        for number in range(ROUNDS)
        for line in range(1, LINES + 1)
    ]
    return f"lines = {LINES}\nseed = 3\n" + "".join(calls)


def records_of(vault: Path) -> list[CallRecord]:
    """All sealed records."""
    found = sorted(vault.glob(f"[0-9]*/*/*/*/{sealed.RECORD}"))
    return [msgspec.json.decode(path.read_bytes(), type=CallRecord) for path in found]


def late_ms(record: CallRecord) -> float:
    """The delay of the notice's first sample beyond hook edge, debounce and the configured delay."""
    assert record.notice is not None
    assert record.off_hook_at is not None
    waited = (parse_rfc3339(record.notice.started_at) - parse_rfc3339(record.off_hook_at)) / 1e6
    return waited - DEBOUNCE_MS - DELAY_MS


def _heard_late_ms(
    script_path: Path, played: Played, lines: dict[int, I16], notice: I16
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The delay of the notice's first half second on the line against the scripted time."""
    assert played.script_sample is not None
    reference = notice[: RATE_HZ // 2].astype(np.float64)
    late = []
    for call in load_script(script_path).call:
        off_hook = times_of(call).off_hook
        assert off_hook is not None
        due = played.script_sample + (off_hook + DEBOUNCE_MS + DELAY_MS) * RATE_HZ // 1000
        window = lines[call.line][due - RATE_HZ // 4 : due + RATE_HZ].astype(np.float64)
        likeness = fftconvolve(window, reference[::-1], mode="valid")
        late.append((int(np.argmax(likeness)) - RATE_HZ // 4) * 1000 / RATE_HZ)
    return np.asarray(late)
