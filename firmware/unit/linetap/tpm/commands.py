# SPDX-License-Identifier: Apache-2.0
"""The TPM 2.0 commands in use (TCG, TPM 2.0 Library, part 3), each as one function."""

from __future__ import annotations

import os

from linetap.tpm.device import Transport
from linetap.tpm.wire import PRIMARY, Reader, name_of, password, pcr_selection, run, session, sized, u8, u16, u32

OWNER, NULL = 0x40000001, 0x40000007  # TPM_RH
_SHA256, _ALG_NULL, _ECDSA = 0x000B, 0x0010, 0x0018
_POLICY_SESSION = 1
_CONTINUE = 1  # continueSession: the session remains after the command
_VERIFIED = 0x8022  # TPM_ST_VERIFIED


def create_primary(transport: Transport) -> tuple[int, bytes]:
    """The storage key and its public area: always the same, from the TPM's seed and the template."""
    parameters = sized(sized(b"") + sized(b"")) + sized(PRIMARY) + sized(b"") + u32(0)
    handle, answer = run(transport, 0x131, u32(OWNER), parameters, password(), made=True)
    return handle, answer.sized()


def create(transport: Transport, parent: int, public: bytes, secret: bytes = b"") -> tuple[bytes, bytes]:
    """Public and private part of a new object; only this TPM, with this parent, can load the private one."""
    parameters = sized(sized(b"") + sized(secret)) + sized(public) + sized(b"") + u32(0)
    _, answer = run(transport, 0x153, u32(parent), parameters, password())
    private = answer.sized()
    return answer.sized(), private


def load(transport: Transport, parent: int, public: bytes, private: bytes) -> int:
    return run(transport, 0x157, u32(parent), sized(private) + sized(public), password(), made=True)[0]


def load_public(transport: Transport, public: bytes) -> int:
    """Loads a key for verification, in the owner's hierarchy, so that its tickets stay valid; returns its handle."""
    return run(transport, 0x167, parameters=sized(b"") + sized(public) + u32(OWNER), made=True)[0]


def flush(transport: Transport, handle: int) -> None:
    run(transport, 0x165, parameters=u32(handle))


def policy_session(transport: Transport) -> int:
    parameters = sized(os.urandom(16)) + sized(b"") + u8(_POLICY_SESSION) + u16(_ALG_NULL) + u16(_SHA256)
    return run(transport, 0x176, u32(NULL) + u32(NULL), parameters, made=True)[0]


def policy_pcr(transport: Transport, policy: int, pcrs: tuple[int, ...]) -> None:
    """Binds the session to the present values of these PCRs."""
    run(transport, 0x17F, u32(policy), sized(b"") + pcr_selection(pcrs))


def policy_digest(transport: Transport, policy: int) -> bytes:
    return run(transport, 0x189, u32(policy))[1].sized()


def policy_restart(transport: Transport, policy: int) -> None:
    """Resets the session's policy."""
    run(transport, 0x180, u32(policy))


def flush_all(transport: Transport) -> None:
    """Flushes all loaded objects and sessions, like the kernel's resource manager at the end of a process."""
    for first in (0x80000000, 0x02000000, 0x03000000):  # transient objects; loaded sessions of either kind
        _, answer = run(transport, 0x17A, parameters=u32(1) + u32(first) + u32(64))
        answer.take(5)
        for handle in [answer.u32() for _ in range(answer.u32())]:
            flush(transport, handle)


def verify_signature(transport: Transport, key: int, digest: bytes, r: bytes, s: bytes) -> bytes:
    """Verifies a signature; returns the digest of a ticket for `policy_authorize`."""
    parameters = sized(digest) + u16(_ECDSA) + u16(_SHA256) + sized(r) + sized(s)
    _, answer = run(transport, 0x177, u32(key), parameters)
    answer.take(6)  # tag and hierarchy, which policy_authorize sets itself
    return answer.sized()


def policy_authorize(
    transport: Transport, policy: int, approved: bytes, ref: bytes, public: bytes, ticket: bytes
) -> None:
    """Proves to the session that its policy, `approved`, was signed for `ref` by the key with that public part."""
    check = u16(_VERIFIED) + u32(OWNER) + sized(ticket)
    run(transport, 0x16A, u32(policy), sized(approved) + sized(ref) + sized(name_of(public)) + check)


def sign(transport: Transport, key: int, digest: bytes, policy: int, keep: bool = True) -> tuple[int, int]:
    """r and s of an ECDSA signature over a SHA-256 digest. `keep`: the session remains, without its policy."""
    no_ticket = (
        u16(0x8024) + u32(NULL) + sized(b"")
    )  # TPM_ST_HASHCHECK: the key may sign digests that the TPM did not compute
    parameters = sized(digest) + u16(_ECDSA) + u16(_SHA256) + no_ticket
    _, answer = run(transport, 0x15D, u32(key), parameters, session(policy, _CONTINUE if keep else 0))
    answer.take(4)
    return int.from_bytes(answer.sized(), "big"), int.from_bytes(answer.sized(), "big")


def pcr_read(transport: Transport, pcr: int) -> bytes:
    _, answer = run(transport, 0x17E, parameters=pcr_selection((pcr,)))
    answer.take(4)
    _skip_selection(answer)
    return answer.sized() if answer.u32() else b""


def pcr_extend(transport: Transport, pcr: int, digest: bytes) -> None:
    run(transport, 0x182, u32(pcr), u32(1) + u16(_SHA256) + digest, password())


def _skip_selection(answer: Reader) -> None:
    for _ in range(answer.u32()):
        answer.u16()
        answer.take(answer.take(1)[0])
