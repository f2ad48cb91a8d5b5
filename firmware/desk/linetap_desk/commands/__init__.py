# SPDX-License-Identifier: Apache-2.0
"""The commands of the central side. This module imports nothing: each command imports its own module."""

from linetap_core.cli import Command

COMMANDS = {
    "keygen": Command(
        "linetap_desk.ceremony.keygen",
        "make keys of custodians, epochs, units and the authority, and lists of epochs",
        "custodian -o custodian.txt",
    ),
    "roles": Command(
        "linetap_desk.accesslog.roles",
        "check the signed roles, or put them into force",
        "check roles.json --authority authority.pub",
    ),
    "release": Command(
        "linetap_desk.release.command", "request a recording, and approve the request", "show request.json"
    ),
    "unwrap": Command(
        "linetap_desk.release.unwrap",
        "remove the epoch's layer of a call's key: the vault officer's step",
        "CALL_DIR --identity epoch.txt --request request.json -o inner.age",
    ),
    "open": Command(
        "linetap_desk.release.open",
        "verify and open a call: the custodian's step",
        "CALL_DIR --identity custodian.txt --inner inner.age --signers allowed_signers -o call.wav",
    ),
    "custody": Command(
        "linetap_desk.commands.custody",
        "pages for every step that needs a key, or the custodian's helper for one package",
        "--desk https://desk.city.example:8443 --ca ca.pem --identity custodian.txt --identity one-time.txt",
    ),
    "find": Command(
        "linetap_desk.searching.find",
        "find the calls of a number in the indexes of vaults",
        "--number 010-1234-5678 --from '2026-11-24 13:00' vaults/floor-03 --identity /media/a",
    ),
    "search": Command(
        "linetap_desk.custody.search.command",
        "find calls of all units by number, name or extension, with the index keys",
        "--desk https://desk.city.example:8443 --ca ca.pem --identity /media/a",
    ),
    "access": Command("linetap_desk.accesslog.command", "show or verify the access log of recordings", "show"),
    "command": Command(
        "linetap_desk.unitcommands.command",
        "make, cosign and send signed commands to units",
        "apply hold.command --config /etc/linetap/unit.toml",
    ),
    "witness": Command(
        "linetap_desk.witnessing.witness",
        "cosign heads that continue units' logs",
        "--log vault/log --state seen.json --key witness.key --signers allowed_signers -o heads",
    ),
    "checkpoint": Command(
        "linetap_desk.witnessing.carry",
        "submit heads of units' logs to the witnesses of a policy, and store their cosignatures",
        "vault/log --key keeper.key --policy policy --signers allowed_signers -o heads",
    ),
    "timestamp": Command(
        "linetap_desk.witnessing.timestamp",
        "request an authority's time stamp (RFC 3161) for a unit's head",
        "ask vault/log --tsa http://tsa.example/ --ca tsa-ca.pem --signers allowed_signers -o stamps",
    ),
    "sigsum": Command(
        "linetap_desk.vaultproofs.sigsum",
        "make a proof for stock sigsum-verify that a call is in its unit's log",
        "CALL_ID --log vault/log --key desk.key --signers allowed_signers -o proofs",
    ),
    "epoch": Command(
        "linetap_desk.ceremony.epoch",
        "destroy a day's keys; list the overdue days",
        "overdue --certificates certificates",
    ),
    "hold": Command(
        "linetap_desk.ceremony.hold", "keep a call for a case", "wrap CALL_DIR --identity 2027-01-24.txt --to age1..."
    ),
    "overflow": Command(
        "linetap_desk.ceremony.rewrap",
        "re-wrap the keys of overflow calls for their days",
        "rewrap CALL_DIR --identity overflow-2.txt --to 2027-01-24",
    ),
    "bundle": Command(
        "linetap_desk.bundle.command",
        "pack calls and their proofs into one zip, with a report for a court",
        "CALL_DIR --signers allowed_signers --case 2026-117 -o case.zip",
    ),
    "accusation": Command(
        "linetap_desk.protection.accusation",
        "make the evidence bundle of one matter's released calls, and a draft statement",
        "CALL_DIR --wav call.wav --signers allowed_signers --case 2026-117 -o case.zip",
    ),
    "desk": Command(
        "linetap_desk.commands.desk",
        "the central side: ingest, search, pages and set-up",
        "ingest --config desk.toml",
    ),
    "watch": Command("linetap_desk.watch.command", "show the present state of all units", "--config desk.toml"),
    "pki": Command(
        "linetap_desk.pki.command",
        "issue and revoke certificates for units, brokers and desks",
        "unit floor-03.request --dir /media/pki -o floor-03.pem",
    ),
    "versions": Command(
        "linetap_desk.versions.command",
        "keep the log of published updates; a unit can require an entry in it",
        "add linetap-0.2.0.raucb --log versions --key versions.key --policy policy --commit $(git rev-parse HEAD)",
    ),
    "verify": Command(
        "linetap_desk.commands.verify",
        "verify a call, a vault or a bundle, without any secret",
        "vault --signers allowed_signers",
    ),
}
