# SPDX-License-Identifier: Apache-2.0
"""Common mistakes with the files on a card, each reported in Korean and English; a unit never guesses a name.

Windows hides endings (linetap.toml.txt), browsers and copies add a number (linetap (1).toml), an editor of Windows
writes UTF-16, CP949 or a byte order mark, and a card that was removed too early has a file of zeros. Names are compared
as the file system does it: on a boot partition (vfat) LINETAP.TOML is linetap.toml.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from linetap_core.durable.files import TEMPORARY
from linetap_core.enrolment import order
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import namespaces
from linetap_core.wire.hosts import is_host, is_own_host

ORDER, DECOMMISSION, DESK = order.NAME, "linetap-decommission.txt", "linetap-desk.txt"
DESK_PORT = 8443  # port of `linetap desk serve`, unless the order names another
_SIGNATURE = f"{ORDER}{namespaces.SUFFIX}"
_MOST_NAMES = 4096  # a boot partition has some 300
_LONGEST_NAME = 80
_LIKE_ORDER = re.compile(r"\.tom(l|$)|^linetap[\W_]*(toml)?[\W_]*(txt)?$", re.IGNORECASE)
_LIKE_DECOMMISSION = re.compile(r"^linetap[-_ ]decom+is+ion", re.IGNORECASE)
_LIKE_DESK = re.compile(r"^linetap[-_ ]desk", re.IGNORECASE)
_LIKE_CERTIFICATE = re.compile(r"\.pem", re.IGNORECASE)
_OTHER_CERTIFICATE = re.compile(r"\.(crt|cer)(\.txt)?$", re.IGNORECASE)
_REPORTS = (".request", ".retired.json", f".retired.json{namespaces.SUFFIX}")  # behind a unit's name
_LEFT = "left-"
_OTHER_FORMATS = (b"<", b"{\\rtf", b"PK\x03\x04", b"%PDF")  # a saved web page, a word processor's file, an archive


class CardMistake(BadInput):
    """A mistake on the card; `str()` is the English line."""

    def __init__(self, ko: str, en: str) -> None:
        super().__init__(en)
        self.ko = ko


def require_names(boot: Path) -> None:
    """Raises CardMistake for a misspelled name of a file that a unit reads."""
    names = _names(boot)
    like = [name for name in names if _LIKE_ORDER.search(name) and not _is_the_file(boot, name, ORDER)]
    signatures = [
        name for name in like if namespaces.SUFFIX in name.lower() and not _is_the_file(boot, name, _SIGNATURE)
    ]
    orders = [name for name in like if namespaces.SUFFIX not in name.lower()]
    orders += [f"{name}/{ORDER}" for name in names if (boot / name).is_dir() and (boot / name / ORDER).exists()]
    asked = [name for name in names if _LIKE_DECOMMISSION.search(name) and not _is_the_file(boot, name, DECOMMISSION)]
    desks = [name for name in names if _LIKE_DESK.search(name) and not _is_the_file(boot, name, DESK)]
    for found, wanted in ((orders, ORDER), (signatures, _SIGNATURE), (asked, DECOMMISSION), (desks, DESK)):
        if found:
            _raise_misnamed(found, wanted, (boot / wanted).exists())


def move_folders_away(boot: Path, written: Iterable[str]) -> None:
    """Renames folders with the names of the files that a unit writes: it could not report anything on the card, and not
    wipe an order. Not removed: they may be large, or have no end."""
    names = {each for name in written for each in (name, f".{name}{TEMPORARY}")}
    found: list[os.DirEntry[str]] = []
    with contextlib.suppress(OSError), os.scandir(boot) as entries:
        found = [entry for entry in itertools.islice(entries, _MOST_NAMES) if entry.is_dir(follow_symlinks=False)]
    for entry in found:
        if entry.name in names or entry.name.removesuffix(TEMPORARY).endswith(_REPORTS):
            number = next(n for n in itertools.count(1) if not (boot / f"{_LEFT}{n}").exists())
            with contextlib.suppress(OSError):
                (boot / entry.name).rename(boot / f"{_LEFT}{number}")


def has_certificate(boot: Path) -> bool:
    return any(_LIKE_CERTIFICATE.search(name) or _OTHER_CERTIFICATE.search(name) for name in _names(boot))


def _certificates(boot: Path, unit: str | None) -> list[str]:
    """Possible certificates of the unit: each .pem, and each .crt or .cer with the unit's name."""
    return [
        name
        for name in _names(boot)
        if _LIKE_CERTIFICATE.search(name)
        or (unit is not None and name.lower().startswith(unit.lower()) and _OTHER_CERTIFICATE.search(name))
    ]


def require_certificate(boot: Path, unit: str | None, names_one: bool) -> None:
    """Raises CardMistake for a certificate that this unit would not use. `unit`: None if it is new; `names_one`:
    whether its configuration has a path for one.
    """
    found = _certificates(boot, unit)
    if not found or (unit is not None and names_one and (boot / f"{unit}.pem").exists()):
        return
    name = _shown(found[0])
    if unit is None:
        if (boot / ORDER).exists():
            return  # the order, which gives the unit its name, must come first
        raise CardMistake(
            f"{name}: 설정하지 않은 기기입니다. 먼저 {ORDER}을 카드에 넣으십시오.",
            f"{name}: this unit has no configuration yet: {ORDER} comes first",
        )
    if not names_one:
        raise CardMistake(
            f"{name}: 이 기기의 설정에는 인증서(broker.certificate)가 없습니다.",
            f"{name}: the configuration of this unit names no broker.certificate",
        )
    raise CardMistake(
        f"{name}: 이 기기는 {unit}입니다. 파일 이름은 {unit}.pem이어야 합니다.",
        f"{name}: this is unit {unit}: a file named {unit}.pem expected",
    )


def require_text(data: bytes, name: str = ORDER) -> None:
    """Raises CardMistake for a damaged file: empty, of zeros, or in another encoding than UTF-8."""
    again = "데스크에서 만든 파일을 고치지 말고 그대로 복사하십시오."
    copied = "copy the file as the desk made it"
    if not data.strip():
        raise CardMistake(f"{name}: 빈 파일입니다. {again}", f"{name}: the file is empty; {copied}")
    if data.startswith(_OTHER_FORMATS):
        raise CardMistake(
            f"{name}: 설정 파일이 아닙니다(웹 페이지나 문서). {again}",
            f"{name}: a web page or a document, and no configuration; {copied}",
        )
    if (written := encoding_of(data)) is not None:
        raise CardMistake(
            f"{name}: {written}로 저장되었습니다. 메모장에서 인코딩 'UTF-8'(BOM 없음)로 저장하십시오.",
            f"{name}: saved as {written}; UTF-8 without a byte order mark (BOM) expected",
        )
    if b"\x00" in data:  # never in text; vfat may give a file its length before its content
        raise CardMistake(
            f"{name}: 복사가 끝나기 전에 카드를 뽑았습니다. 다시 복사하고 '꺼내기'를 한 뒤 뽑으십시오.",
            f"{name}: has zeros in it: the card was pulled out before it was written; copy again, and eject it",
        )
    if b"\r" in data.replace(b"\r\n", b""):
        raise CardMistake(
            f"{name}: 줄 바꿈이 바뀌었습니다(CR). {again}", f"{name}: lines that end in CR alone; {copied}"
        )


def desk_address(text: str) -> tuple[str, int]:
    """Host and port of https://desk.city.example, desk.city.example:8443 or a bare name; otherwise CardMistake."""
    try:
        url = urlsplit(text if "//" in text else f"https://{text}" if ":" in text else f"https://{text}:{DESK_PORT}")
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    if port == 0 or not text.isprintable():  # urlsplit joins two lines
        url = urlsplit("")
    if (
        url.scheme != "https"
        or not is_host(url.hostname or "")
        or url.path not in ("", "/")
        or url.query
        or url.username
    ):
        shown = _shown(text)
        raise CardMistake(
            f"{DESK}: {shown!r}: 데스크의 주소 한 줄이어야 합니다(예: desk.city.example).",
            f"{DESK}: {shown!r}: the one line desk.city.example or https://desk.city.example:8443 expected",
        )
    return str(url.hostname), port or 443


def require_other_desk(host: str) -> None:
    """Raises CardMistake if the desk on the card is the unit itself."""
    if is_own_host(host):
        raise CardMistake(
            f"{DESK}: {host!r}은(는) 기기 자신입니다. 데스크의 이름이나 주소를 쓰십시오.",
            f"{DESK}: {host!r} is the unit itself: the desk's name or address expected",
        )


def require_broker(text: str) -> None:
    """Raises CardMistake for a broker that is not only a host (mqtts://..., host:port), or that is the image's unit
    itself: `config init` without --broker writes localhost.
    """
    unit = order.read_unit(text)
    if unit is None:
        return  # checked with the configuration itself
    host = unit.broker.host
    if not unit.broker.is_host():
        raise CardMistake(
            f"{ORDER}: {order.UNIT}: broker.host = {host!r}: 브로커의 이름이나 주소만 쓰십시오(예: mqtt.city.example).",
            f"{ORDER}: {order.UNIT}: {unit.broker.wanted()}",
        )
    if unit.board.kind == "hardware" and is_own_host(host):
        raise CardMistake(
            f"{ORDER}: {order.UNIT}: broker.host = {host!r}는 기기 자신입니다. 브로커의 이름이나 주소를 쓰십시오.",
            f"{ORDER}: {order.UNIT}: broker.host = {host!r} is the unit itself: the broker's name or address expected",
        )


def encoding_of(data: bytes) -> str | None:
    """The encoding by its name in an editor of Windows; None for UTF-8."""
    if data.startswith(b"\xef\xbb\xbf"):
        return "UTF-8 BOM"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or _is_wide(data):
        return "UTF-16"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "ANSI(CP949)" if _is_cp949(data) else None  # otherwise no text: the reader names the byte
    return None


def one_line(data: bytes) -> str:
    """The text of a file of one line, in whichever encoding the person's editor uses."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").strip()
    return data.decode("utf-8-sig", "replace").strip()


def _is_wide(data: bytes) -> bool:
    """Whether the data is UTF-16 without its mark: every second byte of ASCII is zero."""
    return data[:1] != data[1:2] and b"\x00\x00" in (data[:4:2], data[1:4:2])


def _is_cp949(data: bytes) -> bool:
    try:
        return data.decode("cp949").replace("\n", "").replace("\r", "").replace("\t", "").isprintable()
    except UnicodeDecodeError:
        return False


def _raise_misnamed(found: list[str], wanted: str, there: bool) -> None:
    listed = ", ".join(_shown(name) for name in ([wanted] if there else []) + found[:4])
    if there or len(found) > 1:
        raise CardMistake(
            f"{listed}: 비슷한 파일이 여럿입니다. 쓸 것 하나만 {wanted} 이름으로 남기고 지우십시오.",
            f"{listed}: several files; only one, named {wanted}, expected",
        )
    name = found[0].lower()
    hidden = name.endswith(".txt.txt") or (name.endswith(".txt") and not wanted.endswith(".txt"))
    if hidden:
        raise CardMistake(
            f"{listed}: 이름을 {wanted}(으)로 바꾸십시오. 탐색기에서 보기 > 표시 > '파일 확장명'을 켜면 보입니다.",
            f"{listed}: to be renamed {wanted}; Windows hides the ending .txt (View > Show > File name extensions)",
        )
    raise CardMistake(
        f"{listed}: 이름과 위치를 확인하십시오. 카드 맨 위의 {wanted}이어야 합니다.",
        f"{listed}: {wanted} expected, at the top of the card",
    )


def _names(boot: Path) -> list[str]:
    """The file names at the top of the card, without hidden files of a system or an editor (._linetap.toml of
    macOS).
    """
    try:
        with os.scandir(boot) as entries:
            return sorted(e.name for e in itertools.islice(entries, _MOST_NAMES) if not e.name.startswith((".", "~")))
    except OSError:
        return []


def _is_the_file(boot: Path, name: str, wanted: str) -> bool:
    return name == wanted or (name.lower() == wanted and (boot / wanted).exists())


def _shown(name: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in name[:_LONGEST_NAME])
