# SPDX-License-Identifier: Apache-2.0
"""The commands of the central side. This module imports nothing: each command imports its own module."""

from linetap_core.cli import Command

COMMANDS = {
    "keygen": Command(
        "linetap_desk.ceremony.keygen",
        "keys: custodian, epoch, unit, authority, and epochs with their list",
        "custodian -o custodian.txt",
    ),
    "roles": Command(
        "linetap_desk.accesslog.roles", "who may do what at the desk", "check roles.json --authority authority.pub"
    ),
    "release": Command("linetap_desk.release.command", "request a recording, approve it", "show request.json"),
    "unwrap": Command(
        "linetap_desk.release.unwrap",
        "the vault officer's half of opening",
        "CALL_DIR --identity epoch.txt --request request.json -o inner.age",
    ),
    "open": Command(
        "linetap_desk.release.open",
        "check and open a call",
        "CALL_DIR --identity custodian.txt --inner inner.age --signers allowed_signers -o call.wav",
    ),
    "custody": Command(
        "linetap_desk.commands.custody",
        "a program with pages for every step that needs a key; or the custodian's helper for one package",
        "--desk https://desk.city.example:8443 --ca ca.pem --identity custodian.txt --identity one-time.txt",
    ),
    "find": Command(
        "linetap_desk.searching.find",
        "the calls of a number",
        "--number 010-1234-5678 --from '2026-11-24 13:00' vaults/floor-03 --identity /media/a",
    ),
    "search": Command(
        "linetap_desk.custody.search.command",
        "calls of all units by number, name or extension, where the index keys are",
        "--desk https://desk.city.example:8443 --ca ca.pem --identity /media/a",
    ),
    "access": Command("linetap_desk.accesslog.command", "who did what with whose recording", "show"),
    "command": Command(
        "linetap_desk.unitcommands.command",
        "signed commands to a unit",
        "apply hold.command --config /etc/linetap/unit.toml",
    ),
    "witness": Command(
        "linetap_desk.witnessing.witness",
        "cosign heads that continue units' logs",
        "--log vault/log --state seen.json --key witness.key --signers allowed_signers -o heads",
    ),
    "checkpoint": Command(
        "linetap_desk.witnessing.carry",
        "carry the head of a unit's log to the witnesses of a policy, and their cosignatures back",
        "vault/log --key keeper.key --policy policy --signers allowed_signers -o heads",
    ),
    "timestamp": Command(
        "linetap_desk.witnessing.timestamp",
        "an authority's time stamp (RFC 3161) over a unit's head",
        "ask vault/log --tsa http://tsa.example/ --ca tsa-ca.pem --signers allowed_signers -o stamps",
    ),
    "sigsum": Command(
        "linetap_desk.vaultproofs.sigsum",
        "a proof for stock sigsum-verify that a call is in its unit's log",
        "CALL_ID --log vault/log --key desk.key --signers allowed_signers -o proofs",
    ),
    "epoch": Command(
        "linetap_desk.ceremony.epoch",
        "destroy a day's keys, and what is overdue",
        "overdue --certificates certificates",
    ),
    "hold": Command(
        "linetap_desk.ceremony.hold", "keep a call for a case", "wrap CALL_DIR --identity 2027-01-24.txt --to age1..."
    ),
    "overflow": Command(
        "linetap_desk.ceremony.rewrap",
        "overflow calls to their days",
        "rewrap CALL_DIR --identity overflow-2.txt --to 2027-01-24",
    ),
    "bundle": Command(
        "linetap_desk.bundle.command",
        "calls and all that proves them in one zip, with a report for a court",
        "CALL_DIR --signers allowed_signers --case 2026-117 -o case.zip",
    ),
    "accusation": Command(
        "linetap_desk.accusation.command",
        "released calls of one matter: the evidence bundle and the draft of a statement",
        "CALL_DIR --wav call.wav --signers allowed_signers --case 2026-117 -o case.zip",
    ),
    "desk": Command(
        "linetap_desk.commands.desk",
        "the central side: takes what units report, and finds it again",
        "ingest --config desk.toml",
    ),
    "watch": Command("linetap_desk.watch.command", "all units as the broker has them, now", "--config desk.toml"),
    "pki": Command(
        "linetap_desk.pki.command",
        "certificates for units, brokers and desks",
        "unit floor-03.request --dir /media/pki -o floor-03.pem",
    ),
    "versions": Command(
        "linetap_desk.versions.command",
        "the log of published updates, in which a unit can demand an entry",
        "add linetap-0.2.0.raucb --log versions --key versions.key --policy policy --commit $(git rev-parse HEAD)",
    ),
    "verify": Command(
        "linetap_desk.commands.verify",
        "check a call, a vault or a bundle, without any secret",
        "vault --signers allowed_signers",
    ),
}
