# SPDX-License-Identifier: Apache-2.0
"""unit.toml: all errors are reported at once, each with its line."""

from __future__ import annotations

import json
import os
import re
import string
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

import config_rig
from config_rig import CUSTODIAN, EPOCH, Site
from linetap.commission.configcheck import check_config
from linetap.config import config_sha256, load_config, notices_folder, profile_of, profilechecks
from linetap.config.profile import KR_PSTN, Profile
from linetap.config.schema import Card, Config, Line, Recording, RetentionPolicy, Storage
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import publickeys
from linetap_core.tomlfile.source import Source
from linetap_core.wire.mqtt import Broker

site = config_rig.site  # the fixture

PROJECT_PINS = Path(__file__).parents[2] / "hardware" / "pins.toml"


def test_the_written_configuration_is_right(site: Site) -> None:
    config = check_config(site.path)
    assert config == load_config(site.path)
    assert (config.unit, len(config.line), len(config.card)) == ("tower-3", 8, 1)
    assert config.key == str(site.folder / "unit.key")
    assert profile_of(config, "kr-pstn").hook_debounce_ms == 25


def test_what_is_written_are_the_defaults(site: Site) -> None:
    site.write(board="hardware")
    config = load_config(site.path)
    assert config.recording == Recording()
    assert config.retention == RetentionPolicy()
    assert config.broker == Broker()
    assert config.storage == Storage()
    assert config.card == [Card()]
    assert config.line == [Line(number=n, channel=n) for n in range(1, 9)]


def _keys_of(kind: type[msgspec.Struct]) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        yield field.encode_name
        for inner in re.findall(r"linetap(?:\.config|_core\.wire)\.[a-z]+\.([A-Za-z]+)", repr(field.type)):
            import linetap.config.schema as schema

            if hasattr(schema, inner):  # the detectors' numbers have their own explanations: config/numbers.py
                yield from _keys_of(getattr(schema, inner))


def test_every_key_of_the_schema_is_explained_in_the_file(site: Site) -> None:
    text = site.path.read_text()
    names = set(_keys_of(Config))
    assert {"hook_debounce_ms", "custodians", "caller_id", "reserve_mb"} <= names
    missing = [
        name
        for name in names
        if not re.search(rf"^(# )?(\[+)?(retention\.|profile\.)?{name}(\]+| = )", text, re.MULTILINE)
    ]
    assert missing == []


@pytest.mark.parametrize("lines", [1, 8, 9, 32])
def test_lines_fill_cards_of_eight(site: Site, lines: int) -> None:
    site.write(lines)
    config = check_config(site.path)
    assert len(config.line) == lines
    assert [len(config.lines_of(card.number)) for card in config.card] == [
        min(8, lines - start) for start in range(0, lines, 8)
    ]


# --- one thing wrong --------------------------------------------------------------------------------------

NOBODYS = publickeys.encode_recipient(bytes(32))
BAD_CHECKSUM = EPOCH.recipient[:-1] + ("q" if EPOCH.recipient[-1] != "q" else "p")


@pytest.mark.parametrize(
    ("old", "new", "line", "number", "says"),
    [
        (
            "notice_delay_ms = 500",
            "notice_delay = 500",
            "notice_delay =",
            1,
            "unknown key recording.notice_delay; known",
        ),
        ("\nunit = ", "\nunti = 1\nunit = ", "unti", 1, "unknown key unti"),
        (
            "notice_delay_ms = 500",
            'notice_delay_ms = "500"',
            "notice_delay_ms",
            1,
            "recording.notice_delay_ms = '500': ",
        ),
        ("notice_delay_ms = 500", "notice_delay_ms = 5001", "notice_delay_ms", 1, "5001"),
        ("port = 8883", "port = 0", "port", 1, "broker.port = 0"),
        ("port = 8883", "port = 99999999999999999999999", "port", 1, "broker.port = 9999"),
        ("zone = ", "zone = 7 #", "zone", 1, "retention.zone = 7: expected `str`, got `int`"),
        ("rate_hz = 8000", "rate_hz = 44100", "rate_hz", 1, "card[1].rate_hz = 44100"),
        ('codec = "mulaw"', 'codec = "g729"', "codec", 1, "codec 'g729' is not known; mulaw or opus expected"),
        ('"tower-3"', '"Tower 3"', "unit =", 1, "unit = 'Tower 3'"),
        ('unit = "tower-3"\n', "", "#", 1, "unit is missing"),
        ("overflow_epoch = ", "# overflow_epoch = ", "[keys]", 1, "keys.overflow_epoch is missing"),
        ("channels = 8", "channels = 7", "channel = 8", 1, "line 8: channel 8, but card 1 has 7"),
        ("channel = 2\n", "channel = 1\n", "channel = 1", 2, "line 2: channel 1 of card 1 is line 1's already"),
        ("number = 3\n", "number = 2\n", "number = 2", 2, "line 2 is there already"),
        ("card = 1\nchannel = 4", "card = 2\nchannel = 4", "card = 2", 1, "line 4: there is no card 2"),
        (
            "channel = 5\n",
            'channel = 5\nprofile = "pbx"\n',
            "profile",
            1,
            "line 5: no profile 'pbx'; there are kr-pstn",
        ),
        (
            'default = "standard"',
            'default = "short"',
            "default",
            1,
            "retention.default = 'short': no such class",
        ),
        ("days = 60", "days = 0", "days", 1, "retention.classes[1].days = 0"),
        ('"Asia/Seoul"', '"Asia/Soul"', "zone", 1, "no such time zone"),
        ('"Asia/Seoul"', '"../../etc/passwd"', "zone", 1, "no such time zone"),
        ('"Asia/Seoul"', '"Asia"', "zone", 1, "no such time zone"),
        ('# key = "tls', 'key = "tls', 'key = "tls', 1, "of no use without broker.certificate"),
        ('host = "localhost"', 'host = "broker.hall.kr"', "[broker]", 1, "reached by TLS only"),
        ('key = "unit.key"', 'key = "no.key"', "key =", 1, "No such file or directory"),
        ('key = "unit.key"', 'key = "unit.toml"', "key =", 1, "not an OpenSSH private key"),
        ('key = "unit.key"', "key = 7", "key =", 1, "key = 7: expected `str`"),
        ('key = "unit.key"', 'key = "."', "key =", 1, "Is a directory"),
        ('key = "unit.key"', 'key = "a\\u0000b"', "key =", 1, "NUL"),
        (CUSTODIAN.recipient, BAD_CHECKSUM, f'  "{BAD_CHECKSUM}', 1, "custodians: not an age recipient"),
        (CUSTODIAN.recipient, NOBODYS, f'  "{NOBODYS}', 1, "custodians: a point of low order"),
        (EPOCH.recipient, BAD_CHECKSUM, "overflow_epoch", 1, "overflow_epoch: not an age recipient"),
        (EPOCH.recipient, "ssh-ed25519 AAAA", "overflow_epoch", 1, "overflow_epoch: not an age recipient"),
        (f'[\n  "{CUSTODIAN.recipient}",\n]', "[]", "custodians", 1, "keys.custodians = []"),
        (r"'^[2-8]\d{3}$'", r"'^21\$'", "internal_pattern", 1, "recording.internal_pattern: bad escape"),
        (r"'^[2-8]\d{3}$'", "'^(21'", "internal_pattern", 1, "recording.internal_pattern: missing )"),
        ('"113", "119"]', '"113", "1-1-9"]', "emergency_numbers", 1, "emergency_numbers: '1-1-9' is dialled by nobody"),
        ('["9", "0"]', '["9", ""]', "trunk_prefixes", 1, "trunk_prefixes: '' is dialled by nobody"),
        ("[storage]", 'profile = [{name = "a"}, {name = "a"}]\n[storage]', "profile", 1, "unknown key broker.profile"),
    ],
)
def test_one_error_with_its_line(site: Site, old: str, new: str, line: str, number: int, says: str) -> None:
    site.edit(old, new)
    told_line, told = site.only_error()
    assert told_line == site.line_of(line, number)
    assert says in told


def test_every_error_at_once_in_the_order_of_the_file(site: Site) -> None:
    """An unknown key, a wrong type, channels fewer than lines, an unreadable key and an invalid recipient do not hide
    each other.
    """
    site.edit('key = "unit.key"', 'key = "no.key"')
    site.edit(EPOCH.recipient, "age1nonsense")
    site.edit("notice_delay_ms = 500", 'notice_delay_ms = "soon"')
    site.edit("reserve_mb", "reserve_gb")
    site.edit("channels = 8", "channels = 6")
    site.edit("channel = 2\n", "channel = 1\n")
    site.edit("number = 3\n", "")
    wanted = [
        ("key =", 1, "No such file"),
        ("overflow_epoch", 1, "not an age recipient"),
        ("notice_delay_ms", 1, "expected `int`"),
        ("reserve_gb", 1, "unknown key"),
        ("channel = 1", 2, "is line 1's already"),
        ("[[line]]", 3, "line[3].number is missing"),
        ("channel = 7", 1, "card 1 has 6"),
        ("channel = 8", 1, "card 1 has 6"),
    ]
    errors = site.errors()
    assert [line for line, _ in errors] == [site.line_of(needle, number) for needle, number, _ in wanted]
    assert all(says in text for (_, text), (*_, says) in zip(errors, wanted, strict=True))


def test_no_card_and_too_many(site: Site) -> None:
    text = site.path.read_text()
    site.path.write_text(text[: text.index("[[card]]")].replace("\n# The unit's name", "card = []\nline = []\n#", 1))
    assert [text for _, text in site.errors()] == [
        "card: there are 0; 1 to 4 expected",
        "line: there are 0; 1 to 128 expected",
    ]
    assert [line for line, _ in site.errors()] == [site.line_of("card ="), site.line_of("line =")]
    site.path.write_text(
        text.replace("\n[[card]]\nnumber = 1\n", "".join(f"\n[[card]]\nnumber = {n}\n" for n in "12341"))
    )
    assert (site.line_of("[[card]]"), "card: there are 5; 1 to 4 expected") in site.errors()


def test_an_error_inside_inline_tables(site: Site) -> None:
    text = site.path.read_text()
    rows = 'line = [\n  { number = 1, channel = 1 },\n  { number = 1, channel = 2, lne = "a" },\n]\n'
    site.path.write_text(rows + text[: text.index("\n[[line]]")])
    assert [(line, said.split(";")[0]) for line, said in site.errors()] == [
        (3, "line 1 is there already"),
        (3, "unknown key line[2].lne"),
    ]


def test_a_private_key_in_the_wrong_place_is_never_quoted(site: Site) -> None:
    site.edit(f'"{EPOCH.recipient}"', f'["{EPOCH.secret}"]')
    site.edit(CUSTODIAN.recipient, CUSTODIAN.secret)
    errors = site.errors()
    assert [line for line, _ in errors] == [site.line_of('  "AGE-SECRET'), site.line_of("overflow_epoch")]
    assert not any(identity.secret in text for identity in (EPOCH, CUSTODIAN) for _, text in errors)


def test_a_key_of_another_kind(site: Site) -> None:
    command = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(site.folder / "other.key")]
    subprocess.run(command, check=True, timeout=120)
    site.edit('key = "unit.key"', 'key = "other.key"')
    line, text = site.only_error()
    assert (line, "not an Ed25519 key" in text) == (site.line_of("key ="), True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file; a missing one is tested above")
def test_a_key_that_may_not_be_read(site: Site) -> None:
    (site.folder / "unit.key").chmod(0)
    line, text = site.only_error()
    assert (line, "Permission denied" in text) == (site.line_of("key ="), True)


def test_a_notice_that_is_not_in_the_folder(site: Site) -> None:
    (site.folder / "notices").mkdir()
    (site.folder / "notices" / "en.wav").touch()
    site.edit("channel = 6\n", 'channel = 6\nnotice = "jp"\n')
    wanted = [
        (site.line_of('notice = "ko"'), "no notice 'ko' in "),
        (site.line_of('notice = "jp"'), "no notice 'jp' in "),
    ]
    errors = site.errors()
    assert [line for line, _ in errors] == [line for line, _ in wanted]
    assert all(
        text.startswith(says) and "there are en" in text for (_, text), (_, says) in zip(errors, wanted, strict=True)
    )
    assert notices_folder(site.path) == site.folder / "notices"


# --- the table of pins -----------------------------------------------------------------------------------


def test_two_uses_of_one_pin_beside_an_error_of_the_configuration(site: Site) -> None:
    pins = site.folder / "pins.toml"
    pins.write_text(PROJECT_PINS.read_text().replace("pins = [16, 17,", "pins = [16, 16,", 1))
    at = next(i for i, line in enumerate(pins.read_text().splitlines(), 1) if line.startswith("pins = [16, 16,"))
    site.write(board="hardware")
    site.edit("reserve_mb", "reserve")
    with pytest.raises(BadInput) as caught:
        check_config(site.path)
    told = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in told] == [f"{site.path}:{site.line_of('reserve')}", f"{pins}:{at}"]
    assert "GPIO16" in told[1]


def test_a_line_beyond_the_meters_channels(site: Site) -> None:
    site.write(board="hardware", pins=str(PROJECT_PINS))
    check_config(site.path)
    site.edit("channels = 8", "channels = 16")
    site.edit("channel = 8", "channel = 9")
    line, text = site.only_error()
    assert (line, "a card's meter has 8" in text) == (site.line_of("channel = 9"), True)


def test_no_table_of_pins(site: Site) -> None:
    site.write(board="hardware")
    line, text = site.only_error()
    assert (line, "No such file" in text) == (site.line_of("pins ="), True)


# --- not a configuration at all ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"unit = \n", ":1: not TOML: invalid value, column 8"),
        (b"a = 1\n\na = 2\n", ":3: not TOML: cannot overwrite a value, column 6"),
        (b"a = 1\nb = '\xff'\n", ":2: byte 11 is not UTF-8"),
        (b"a = " + b"[" * 100_000, ": arrays or tables are nested too deeply"),
        (b"a = " + b"9" * 5000, ": not TOML: "),
        (b" " * (1 << 21), "that is no configuration"),
        (b"", ":1: unit is missing"),
    ],
)
def test_not_toml(site: Site, data: bytes, says: str) -> None:
    site.path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        load_config(site.path)
    assert str(caught.value).startswith(str(site.path))
    assert says in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.toml: No such file or directory"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(BadInput, match="Is a directory"):
        load_config(tmp_path)


def test_the_hash_is_of_what_is_in_effect(site: Site) -> None:
    before = config_sha256(load_config(site.path))
    site.edit("notice_delay_ms = 500", "# the default")
    assert config_sha256(load_config(site.path)) == before
    site.edit("# the default", "notice_delay_ms = 499")
    assert config_sha256(load_config(site.path)) != before


# --- whatever one types -----------------------------------------------------------------------------------

_WORDS = [
    "",
    "0",
    "-1",
    "1e9",
    "nan",
    "true",
    '"x"',
    "'",
    '"""',
    "[]",
    "[[line]]",
    "[keys]",
    "{}",
    "=",
    "\n",
    "\\",
    "#",
    "é",
]
_mutations = st.tuples(
    st.sampled_from(["cut", "insert", "replace line", "swap value", "double line"]),
    st.integers(0, 10_000),
    st.one_of(st.sampled_from(_WORDS), st.text(alphabet=string.printable, max_size=4)),
)


def _mutate(text: str, how: str, where: int, what: str) -> str:
    lines = text.splitlines(keepends=True)
    written = [i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")]
    i = written[where % len(written)]
    if how == "cut":
        return text[: where % len(text)] + text[where % len(text) + 1 + len(what) :]
    if how == "insert":
        return text[: where % len(text)] + what + text[where % len(text) :]
    if how == "replace line":
        lines[i] = what + "\n"
    elif how == "double line":
        lines[i] *= 2
    else:
        lines[i] = lines[i].split("=")[0] + "= " + what + "\n"
    return "".join(lines)


@pytest.fixture(scope="module")
def shared_site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="linetap-test-") as folder:
        made = Site(Path(folder))
        made.write(lines=2, board="hardware", pins=str(PROJECT_PINS))
        yield made


@pytest.mark.parametrize(
    "hidden", ["\u202e", "\u2066", "\u200b", "\u0007", "\u0000", "\u2028", "\u0085", "\ufeff", "\n"]
)
@pytest.mark.parametrize("table", ["[[retention.classes]]\nname = {}\ndays = 9\n", "[[profile]]\nname = {}\n"])
def test_a_name_that_reads_as_another_is_none(site: Site, hidden: str, table: str) -> None:
    """Names appear in records, alerts and lists of weakenings, which people read before they sign."""
    name = json.dumps(f"sta{hidden}ndard", ensure_ascii=True)
    site.path.write_text(f"{site.path.read_text()}\n{table.format(name)}")
    with pytest.raises(BadInput, match="control or direction characters") as told:
        check_config(site.path)
    assert str(told.value).isprintable(), "nor does the refusal show it"
    site.path.write_text(site.path.read_text().replace(name, '"민원 전화"'))
    check_config(site.path)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('[[profile.tone]]\nname = "dial"\nhz = [0.0]\ncadence_ms = []\nknown_after = 0', "tone.0.hz.0 = 0: 1 to 4000"),
        ("[profile.tones]\nmains_hz = 0.0", "tones.mains_hz = 0: 1 to 4000"),
        ("[profile.tones]\ntolerance = -1.0", "tones.tolerance = -1: 0 to 1000"),
        ("[profile.tones]\nmains_harmonics = 1_000_000", "tones.mains_harmonics = 1e+06: 0 to 50"),
        ("[profile.dtmf]\nmains_hz = [0.0, 60.0]", "dtmf.mains_hz.0 = 0: 1 to 4000"),
        ("[profile.voice]\nfloor_rise_db_s = 1e6", "voice.floor_rise_db_s = 1e+06: -300 to 300"),
        ("[profile.meter]\non_above_v = 1000.0", "meter.on_above_v = 1000: 0 to 300"),
        ("[profile.sound]\nnoise_chunks = -9", "sound.noise_chunks = -9: 0 to 1e+06"),
        ("[profile.sound]\nspeech_weights = []", "sound.speech_weights: 0 numbers; 17 expected"),
        ("[profile.answer]\nbeep_within_s = 1_000_000_000_000", "answer.beep_within_s = 1e+12"),
    ],
)
def test_a_number_of_a_profile_with_which_no_detector_starts(site: Site, table: str, says: str) -> None:
    """Each number has the right type, and each ended the recorder or capture at its start, or filled its memory."""
    site.path.write_text(f'{site.path.read_text()}\n[[profile]]\nname = "pbx"\n{table}\n')
    with pytest.raises(BadInput, match=re.escape(says)):
        load_config(site.path)


def test_every_number_of_the_shipped_profile_is_in_its_range(site: Site) -> None:
    values = msgspec.to_builtins(KR_PSTN) | {"name": "pbx"}
    assert check_config(site.path)
    config = msgspec.structs.replace(load_config(site.path), profile=[msgspec.convert(values, Profile)])
    source = Source(site.path)
    profilechecks.check_profiles(config, source)
    assert source.problems == []


@settings(max_examples=300, deadline=None)
@given(mutation=_mutations)
def test_one_mutation_is_right_or_told_with_its_line(shared_site: Site, mutation: tuple[Any, ...]) -> None:
    text = shared_site.path.read_text()
    mutated = shared_site.folder / "mutated.toml"
    mutated.write_text(_mutate(text, *mutation))
    try:
        check_config(mutated)
    except BadInput as error:
        for line in str(error).splitlines():
            assert re.match(re.escape(str(mutated)) + r"(:\d+)?: .|" + re.escape(str(shared_site.folder)), line), line


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("", "names no quorum"),
        ("quorum none", "names no log"),
        (f"log {'1' * 64}\nquorum none", "a witness or a group"),
        (f"witness a {'2' * 64}\nquorum a", "names no log"),
        ("log city", "not a verifier key"),
        (f"log {'1' * 64}\nwitness a {'1' * 64}\nquorum a", "the log's own key"),
    ],
)
def test_a_log_policy_that_demands_nothing_is_refused(site: Site, policy: str, told: str) -> None:
    site.edit("[update]\n", f"[update]\nlog_policy = {json.dumps(policy)}\n")
    line, text = site.only_error()
    assert line == site.line_of("log_policy")
    assert text.startswith("update.log_policy: ")
    assert told in text


def test_the_template_names_the_log_policy_as_it_is_set(site: Site) -> None:
    text = site.path.read_text()
    (shown,) = re.findall(r'(?s)# (log_policy = """\n.*?\n# """)', text)
    policy = shown.replace("\n# ", "\n").replace("4f2e...", "1" * 64).replace("6e5d...", "2" * 64)
    site.edit("# " + shown, policy.replace("0a17...", "3" * 64))
    assert (load_config(site.path).update.log_policy or "").startswith("log 1111")


def test_no_key_of_the_file_begins_a_line_of_its_errors(tmp_path: Path) -> None:
    """Otherwise whoever may write the file writes whole lines into the journal, and onto the card."""
    path = tmp_path / "unit.toml"
    path.write_text('"a\\nunit.toml:1: all is well" = 1\n')
    with pytest.raises(BadInput) as raised:
        load_config(path)
    assert all(line.startswith(f"{path}:1: ") for line in str(raised.value).splitlines())
    assert "unknown key a\\nunit.toml:1: all is well;" in str(raised.value)


@pytest.mark.parametrize("text", ['unit = """{}"""', 'key = ["""{}"""]'])
def test_a_private_key_in_the_wrong_place_is_not_quoted(tmp_path: Path, text: str) -> None:
    """The first 80 characters of such a PEM (RFC 8410) have two thirds of the key."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    path = tmp_path / "unit.toml"
    path.write_text(text.format(pem) + "\n")
    with pytest.raises(BadInput) as raised:
        load_config(path)
    assert "a private key, which does not belong here" in str(raised.value)
    assert pem.splitlines()[1][:12] not in str(raised.value)
