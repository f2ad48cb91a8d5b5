# SPDX-License-Identifier: Apache-2.0
"""The commands of a unit. Nothing is imported here: only the requested command's module is loaded."""

from linetap_core.cli import Command

COMMANDS = {
    "capture": Command(
        "linetap.services:capture", "service 1: a card's audio into its ring", "--config unit.toml", service=True
    ),
    "recorder": Command("linetap.services:recorder", "service 2: calls, sealed", "--config unit.toml", service=True),
    "reporter": Command(
        "linetap.services:reporter", "service 3: reports to the broker", "--config unit.toml", service=True
    ),
    "panel": Command(
        "linetap.services:panel", "service 4: the LEDs and the button", "--config unit.toml", service=True
    ),
    "replay": Command(
        "linetap.recorder.replay.command",
        "the recorder over a recording of the lines",
        "--config unit.toml --audio lines.wav --events events.jsonl --out vault",
    ),
    "signals": Command(
        "linetap.recorder.replay.listen",
        "the detectors' events in a recording",
        "--audio lines.wav --events events.jsonl",
    ),
    "notice": Command(
        "linetap.notices.command", "the spoken notices", 'import hall.wav --text "이 통화는 녹음됩니다."'
    ),
    "config": Command("linetap.commission.command", "make or check a configuration", "check unit.toml"),
    "provision": Command(
        "linetap.provision.command",
        "one file for a unit's card, and what it makes of it",
        "pack unit.toml ca.pem -o linetap.toml",
    ),
    "adopt": Command(
        "linetap.adoption.command", "a new unit asks its desk for a configuration", "--desk desk.city.example"
    ),
    "update": Command(
        "linetap.update.command",
        "another version: installed, tried, kept or not",
        "show --config /etc/linetap/unit.toml",
    ),
    "tones": Command(
        "linetap.commission.tones.command",
        "the tones of a PBX",
        "learn --name pbx busy=busy.wav ringback=ringback.wav -o profile.toml",
    ),
    "idle": Command("linetap.idle", "wait until no line is in use", "--config unit.toml --within 3600"),
    "line": Command("linetap.commission.learn", "measure a line of a running unit", "learn 3 --config unit.toml"),
    "meter": Command(
        "linetap.meterprogram.command",
        "another program for a card's line meter",
        "update meter.dfu --config /etc/linetap/unit.toml",
    ),
    "walk": Command("linetap.commission.walk", "walk test: lift each line in turn", "--config /etc/linetap/unit.toml"),
    "bringup": Command(
        "linetap.bringup.command", "measure a real unit, and sign the figures", "--config /etc/linetap/unit.toml"
    ),
    "card": Command(
        "linetap.cardtest.command", "the production test of a line card", "test --serial LT-0001 --fixture ./fixture"
    ),
    "check": Command("linetap.checks.command", "the self-diagnosis", "--config unit.toml"),
    "tpm": Command(
        "linetap.tpm.command", "the boots that a key in a TPM signs in", "boot $(cat root.hash) --key release.key"
    ),
    "volume": Command(
        "linetap.provision.cardstart", "a card's partitions, encrypted by the TPM", "test /dev/mmcblk0p4"
    ),
    # The unit's verbs of commands that a desk has too.
    "command apply": Command(
        "linetap.commission.commandapply",
        "on the unit: have a command done, print the answer",
        "hold.command --config /etc/linetap/unit.toml",
    ),
    "command state": Command(
        "linetap.commission.commandstate",
        "on the unit: its time, and the challenge to answer",
        "--config /etc/linetap/unit.toml",
    ),
    "keygen unit": Command("linetap.commission.keygenunit", "an Ed25519 key, or one in a TPM", "-o unit.key"),
    "pki request": Command(
        "linetap.commission.tlsrequest",
        "on the unit: its TLS key, and what it asks the authority with",
        "--config /etc/linetap/unit.toml -o floor-03.request",
    ),
}
