# SPDX-License-Identifier: Apache-2.0
"""The notice's proof: how often a line without the notice is judged "full", and how often a line with it is not."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np

from linetap.config.numbers import ProofNumbers
from linetap.notices import load_notices
from linetap.recorder.signals.notice.proof import EchoFit, Proof, judge, measure_echo, prove
from linetap.ring import I16, RATE_HZ
from linetap_bench.figures import Row, cpu_s
from linetap_bench.measure.proofsets import DEAF, HEARD, TAIL, Material, Trial, audible, deaf, material

SEED = 20
DEAF_TRIALS, HEARD_TRIALS, HALF_TRIALS = 10_000, 2_000, 500
HALF = (0.3, 0.7)
COST_S, COST_RUNS = 6, 200
SHARES = (0.05, 0.10, 0.20, 0.30, 0.50, 0.70, 0.80, 0.90, 0.95, 1.0)
LEVELS_DB = (5.0, 10.0, 14.0, 17.0, 20.0, 23.0, 26.0, 30.0, 34.0, 40.0)


class Outcomes(msgspec.Struct, frozen=True):
    """The proof's results by kind of trial, and the fits of all deaf and all audible trials."""

    deaf: dict[str, list[Proof]]
    heard: dict[str, list[Proof]]
    half: list[Proof]
    deaf_fits: list[EchoFit | None]
    heard_fits: list[EchoFit | None]


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:
    spoken = [notice.samples for notice in load_notices(notices).values()]
    made = material(voices, spoken)
    outcomes = run_trials(spoken, made, SEED, DEAF_TRIALS, HEARD_TRIALS, HALF_TRIALS)
    text = curves(outcomes)
    (folder / "curves.txt").write_text(text)
    print(text)
    return [*_rows(outcomes, made), _cost(spoken)]


def run_trials(notices: list[I16], made: Material, seed: int, deaf_n: int, heard_n: int, half_n: int) -> Outcomes:
    """Runs equal numbers of trials of each kind, with each notice in turn; the same seed gives the same trials."""
    rng = np.random.default_rng(seed)
    numbers = ProofNumbers()
    outcomes = Outcomes({kind: [] for kind in DEAF}, {kind: [] for kind in HEARD}, [], [], [])
    for n in range(deaf_n):
        notice, kind = notices[n // len(DEAF) % len(notices)], DEAF[n % len(DEAF)]
        fit = _measured(deaf(kind, notice, made, rng), notice)
        outcomes.deaf_fits.append(fit)
        outcomes.deaf[kind].append(judge(fit, numbers))
    for n in range(heard_n):
        notice, kind = notices[n // len(HEARD) % len(notices)], HEARD[n % len(HEARD)]
        fit = _measured(audible(kind, notice, made, rng), notice)
        outcomes.heard_fits.append(fit)
        outcomes.heard[kind].append(judge(fit, numbers))
    for n in range(half_n):
        notice, share = notices[n % len(notices)], float(rng.uniform(*HALF))
        outcomes.half.append(prove(audible("speech", notice, made, rng, share).captured, notice, numbers))
    return outcomes


def _measured(trial: Trial, notice: I16) -> EchoFit | None:
    return measure_echo(trial.captured, notice, ProofNumbers(echo_delay_ms=trial.echo_delay_ms))


def curves(outcomes: Outcomes) -> str:
    """Both error curves: over the required share of blocks, by kind of trial, and over the required level, for all.

    A star marks the value in use.
    """
    numbers = ProofNumbers()
    kinds = {f"deaf, {kind}": proofs for kind, proofs in outcomes.deaf.items()}
    heard_kinds = {f"heard, {kind}": proofs for kind, proofs in outcomes.heard.items()}
    points = [f"{share:.0%}" + "*" * (share == numbers.full_share) for share in SHARES]
    lines = ["share of the notice's blocks asked for" + " " * 6 + "".join(f"{point:>8}" for point in points)]
    lines += ["deaf lines that reach it (false), %"]
    lines += [_curve(name, proofs, reach=True) for name, proofs in kinds.items()]
    lines += [_curve("all deaf", [proof for proofs in kinds.values() for proof in proofs], reach=True)]
    lines += ["heard lines that do not reach it (missed), %"]
    lines += [_curve(name, proofs, reach=False) for name, proofs in heard_kinds.items()]
    lines += [_curve("all heard", [proof for proofs in heard_kinds.values() for proof in proofs], reach=False)]
    return "\n".join([*lines, "", *_level_curves(outcomes, numbers)]) + "\n"


def _curve(name: str, proofs: list[Proof], reach: bool) -> str:
    score = np.array([proof.score for proof in proofs])
    return _line(name, len(proofs), [100 * float(((score >= t) if reach else (score < t)).mean()) for t in SHARES])


def _level_curves(outcomes: Outcomes, numbers: ProofNumbers) -> list[str]:
    """The same trials judged with other level tolerances."""
    points = [f"{db:g}" + "*" * (db == numbers.level_tolerance_db) for db in LEVELS_DB]
    false = [_full(outcomes.deaf_fits, _within(numbers, db)) for db in LEVELS_DB]
    missed = [100 - _full(outcomes.heard_fits, _within(numbers, db)) for db in LEVELS_DB]
    return [
        "how far below the line's echo it may be, dB " + "".join(f"{point:>8}" for point in points),
        _line("all deaf: false full, %", len(outcomes.deaf_fits), false),
        _line("all heard: missed, %", len(outcomes.heard_fits), missed),
    ]


def _full(fits: list[EchoFit | None], numbers: ProofNumbers) -> float:
    return 100 * float(np.mean([judge(fit, numbers).proof == "full" for fit in fits]))


def _within(numbers: ProofNumbers, db: float) -> ProofNumbers:
    return msgspec.structs.replace(numbers, level_tolerance_db=db)


def _line(name: str, trials: int, shares: list[float]) -> str:
    return f"  {name:24} {trials:>6} trials    " + "".join(f"{share:>8.2f}" for share in shares)


def _rows(outcomes: Outcomes, made: Material) -> list[Row]:
    people = "recorded prompts" if made.recorded else "espeak-ng's voices"
    deaf_proofs = [proof for proofs in outcomes.deaf.values() for proof in proofs]
    heard_proofs = [proof for proofs in outcomes.heard.values() for proof in proofs]
    false, partial = (sum(proof.proof == word for proof in deaf_proofs) for word in ("full", "partial"))
    full = 100 * float(np.mean([proof.proof == "full" for proof in heard_proofs]))
    halves = 100 * float(np.mean([proof.proof == "partial" for proof in outcomes.half]))
    return [
        Row(name="notice proof: false full", figure=false, unit="", target=0,
            method=f"of {len(deaf_proofs)} deaf trials ({', '.join(outcomes.deaf)}; {people}); {partial} partial"),
        Row(name="notice proof: full where it was heard", figure=full, unit="%", target=99, at_most=False,
            method=f"of {len(heard_proofs)} trials, 0 to 20 dB down, up to 395 ms late: " + _by_kind(outcomes.heard)),
        Row(name="notice proof: partial where 30 to 70 % was heard", figure=halves, unit="%", target=99, at_most=False,
            method=f"of {len(outcomes.half)} trials, under speech"),
    ]  # fmt: skip


def _by_kind(found: dict[str, list[Proof]]) -> str:
    counts = {kind: Counter(proof.proof for proof in proofs) for kind, proofs in found.items()}
    return ", ".join(f"{kind} {count['full']}/{count.total()}" for kind, count in counts.items())


def _cost(notices: list[I16]) -> Row:
    notice = np.tile(np.concatenate(notices), COST_S)[: COST_S * RATE_HZ]
    captured = np.concatenate([notice, np.zeros(TAIL, np.int16)]) // 2
    before = cpu_s(os.getpid())
    for _ in range(COST_RUNS):
        prove(captured, notice, ProofNumbers())
    each_ms = (cpu_s(os.getpid()) - before) / COST_RUNS * 1000
    method = f"CPU time of {COST_RUNS} for a notice of {COST_S} s, by their number"
    return Row(name="notice proof: cost of one", figure=each_ms, unit="ms", target=15, method=method)
