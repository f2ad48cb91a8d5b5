# SPDX-License-Identifier: Apache-2.0
"""Makes a citizen's copy: the masked recording, a page that describes it, and the signed proof that it derives from the
call. All are in one file under a passphrase, which is generated here, shown once, and not stored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap_core.codecs.codec import RATE_HZ
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import Request
from linetap_core.evidence.digest import Sha256
from linetap_core.evidence.signing import document, namespaces
from linetap_desk.accesslog.access import AccessLog
from linetap_desk.custody.citizen import encryptedzip
from linetap_desk.custody.citizen.encryptedzip import Member
from linetap_desk.custody.citizen.masking import Reason, Span, masked
from linetap_desk.unsealing import wav

SOUND, PROOF, NOTE = "recording.wav", "copy.json", "about.txt"
VERSION = 1


class Masked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Samples `first` to before `end` are zero in the copy."""

    first: int
    end: int
    reason: Reason


class CopyProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """copy.json. `signer`: the name of the access log whose key signed it; that log has an entry of the copy."""

    version: int
    unit: str
    call_id: str
    record_sha256: Sha256  # of the sealed record.json, which states the hash of every original file
    request: str
    request_sha256: Sha256
    case: str
    rate_hz: int
    samples: int
    wav_sha256: Sha256
    masked: list[Masked]
    made_at: str
    signer: str


@dataclass(frozen=True, slots=True)
class ReleasedCall:
    """The opened call, and the approved request."""

    unit: str
    call_id: str
    record_sha256: str
    request: Request
    request_sha256: str
    pcm: NDArray[np.int16]
    began: datetime  # time of the first sample, in the desk's zone


@dataclass(frozen=True, slots=True)
class MadeCopy:
    files: list[Path]
    sha256: str  # of the file under the passphrase
    passphrase: str


def paths(output: Path) -> list[Path]:
    """The paths of the file under the passphrase, and of the proof and its signature for the office's own records."""
    beside = output.with_suffix(".copy.json")
    return [output, beside, namespaces.signature_path(beside)]


def prove(source: ReleasedCall, spans: Sequence[Span], made_at: str, signer: str) -> CopyProof:
    digest = hashlib.sha256()
    for block in wav.stream(len(source.pcm), [masked(source.pcm, spans)]):
        digest.update(block)
    return CopyProof(
        version=VERSION,
        unit=source.unit,
        call_id=source.call_id,
        record_sha256=source.record_sha256,
        request=source.request.id,
        request_sha256=source.request_sha256,
        case=source.request.case,
        rate_hz=RATE_HZ,
        samples=len(source.pcm),
        wav_sha256=digest.hexdigest(),
        masked=[Masked(one.first, one.end, one.reason) for one in sorted(spans)],
        made_at=made_at,
        signer=signer,
    )


def make(source: ReleasedCall, proof: CopyProof, log: AccessLog, made: datetime, output: Path) -> MadeCopy:
    """Writes the files of `paths(output)`. After an error no file is left."""
    data = document.encode(proof)
    armored = log.sign(data, namespaces.COPY)
    phrase = encryptedzip.passphrase()
    sound = masked(source.pcm, [Span(one.first, one.end, one.reason) for one in proof.masked])
    note = about(proof, source.began).encode("utf-8-sig")  # older Windows editors need the byte order mark
    members = [
        Member(NOTE, len(note), [note]),
        Member(SOUND, len(wav.header(0)) + sound.nbytes, wav.stream(len(sound), [sound])),
        Member(PROOF, len(data), [data]),
        Member(f"{PROOF}{namespaces.SUFFIX}", len(armored), [armored]),
    ]
    written: list[Path] = []
    try:
        for path, content in zip(paths(output)[1:], (data, armored), strict=True):
            privatefile.write(path, content)
            written.append(path)
        with privatefile.create(output) as file:
            written.append(output)
            encryptedzip.write(file, members, phrase, made)
        with output.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except BaseException as error:  # on Ctrl-C too, no part of a copy may remain
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, BadInput):
            raise BadInput(f"{output}: {error.strerror}") from None
        raise
    return MadeCopy([output, *written[:2]], sha256, phrase)


REASON_TEXTS: dict[Reason, tuple[str, str]] = {
    "other_person": ("다른 사람의 목소리 또는 개인정보", "another person's voice or data"),
    "others_interest": ("다른 사람의 이익을 부당하게 침해할 우려", "others' interests would be harmed"),
    "by_law": ("법률에 따른 열람 제한", "access is limited by law"),
}


def about(proof: CopyProof, began: datetime) -> str:
    """The text of the page in the copy, in both languages, with the line ends of Windows."""
    lines = [
        "통화녹음 사본 / Copy of a call recording",
        "",
        f"통화 일시 / Call: {began:%Y-%m-%d %H:%M} ({began.tzname()})",
        f"사건번호 / Case: {proof.case}",
        f"원본 / Original: {proof.unit}, {proof.call_id}",
        f"길이 / Length: {proof.samples / proof.rate_hz:.3f} s",
        "",
    ]
    if proof.masked:
        lines += [
            "이 사본은 원본과 다릅니다. 다음 구간은 묵음 처리하였습니다(「개인정보 보호법」 제35조제4항).",
            "This copy differs from the original. These spans are silenced:",
        ]
        for one in proof.masked:
            korean, english = REASON_TEXTS[one.reason]
            lines.append(
                f"  {_clock(one.first / proof.rate_hz)} - {_clock(one.end / proof.rate_hz)}  {korean} / {english}"
            )
        lines += ["그 밖의 부분은 원본과 같습니다. / All other samples are those of the original."]
    else:
        lines += ["묵음 처리한 구간이 없습니다. / Nothing is silenced."]
    lines += ["", f"{PROOF}, {PROOF}.sig: 이 사본의 서명된 증명 / the signed proof of this copy", ""]
    return "\r\n".join(lines)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{seconds % 60:06.3f}"
