# SPDX-License-Identifier: Apache-2.0
"""The commands of a unit. Nothing is imported here: only the requested command's module is loaded."""

from linetap_core.cli import Command

COMMANDS = {
    "capture": Command(
        "linetap.services:capture", "service 1: writes a card's audio into its ring", "--config unit.toml", service=True
    ),
    "recorder": Command(
        "linetap.services:recorder", "service 2: detects, records and seals calls", "--config unit.toml", service=True
    ),
    "reporter": Command(
        "linetap.services:reporter", "service 3: sends reports to the broker", "--config unit.toml", service=True
    ),
    "panel": Command(
        "linetap.services:panel", "service 4: drives the LEDs and reads the button", "--config unit.toml", service=True
    ),
    "replay": Command(
        "linetap.recorder.replay.command",
        "run the recorder on a recording of the lines",
        "--config unit.toml --audio lines.wav --events events.jsonl --out vault",
    ),
    "signals": Command(
        "linetap.recorder.replay.listen",
        "print the detectors' events in a recording",
        "--audio lines.wav --events events.jsonl",
    ),
    "notice": Command(
        "linetap.notices.command",
        "import, list and export the spoken notices",
        'import hall.wav --text "이 통화는 녹음됩니다."',
    ),
    "config": Command("linetap.commission.command", "make or check a configuration", "check unit.toml"),
    "provision": Command(
        "linetap.provision.command",
        "make the file for a unit's card; process it on the unit",
        "pack unit.toml ca.pem -o linetap.toml",
    ),
    "adopt": Command(
        "linetap.adoption.command", "on a new unit: request a configuration from the desk", "--desk desk.city.example"
    ),
    "update": Command(
        "linetap.update.command",
        "install and try another version; show the progress",
        "show --config /etc/linetap/unit.toml",
    ),
    "tones": Command(
        "linetap.commission.tones.command",
        "make a profile from recordings of a PBX's tones",
        "learn --name pbx busy=busy.wav ringback=ringback.wav -o profile.toml",
    ),
    "idle": Command("linetap.idle", "wait until no line is in use", "--config unit.toml --within 3600"),
    "line": Command("linetap.commission.learn", "measure a line of a running unit", "learn 3 --config unit.toml"),
    "meter": Command(
        "linetap.meterprogram.command",
        "replace the program of a card's line meter",
        "update meter.dfu --config /etc/linetap/unit.toml",
    ),
    "walk": Command(
        "linetap.commission.walk",
        "start the walk test, in which a person lifts each line",
        "--config /etc/linetap/unit.toml",
    ),
    "bringup": Command(
        "linetap.bringup.command", "measure a real unit, and sign the figures", "--config /etc/linetap/unit.toml"
    ),
    "card": Command(
        "linetap.cardtest.command",
        "run the production test of a line card",
        "test --serial LT-0001 --fixture ./fixture",
    ),
    "check": Command("linetap.checks.command", "run the self-diagnosis", "--config unit.toml"),
    "tpm": Command(
        "linetap.tpm.command",
        "sign the boots in which a key in a TPM is valid",
        "boot $(cat root.hash) --key release.key",
    ),
    "volume": Command(
        "linetap.provision.cardstart", "open and test a card's encrypted partitions", "test /dev/mmcblk0p4"
    ),
    # The unit's verbs of commands that a desk has too.
    "command apply": Command(
        "linetap.commission.commandapply",
        "on the unit: execute a command from a file, and print the answer",
        "hold.command --config /etc/linetap/unit.toml",
    ),
    "command state": Command(
        "linetap.commission.commandstate",
        "on the unit: print its time, its challenge and its weakenings",
        "--config /etc/linetap/unit.toml",
    ),
    "keygen unit": Command("linetap.commission.keygenunit", "make an Ed25519 key, or a key in a TPM", "-o unit.key"),
    "pki request": Command(
        "linetap.commission.tlsrequest",
        "on the unit: make its TLS key and the request for a certificate",
        "--config /etc/linetap/unit.toml -o floor-03.request",
    ),
}
