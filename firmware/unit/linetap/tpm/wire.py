# SPDX-License-Identifier: Apache-2.0
"""Encoding of TPM 2.0 commands and answers: big-endian numbers, sized buffers (TCG, TPM 2.0 Library, parts 1 to 3)."""

from __future__ import annotations

import hashlib
import select

from linetap.tpm.device import TpmFault, Transport

NO_SESSIONS, SESSIONS = 0x8001, 0x8002  # TPM_ST
PASSWORD = 0x40000009  # TPM_RS_PW, with an empty password
# Response codes (part 2, 6.6.3) with a meaning for a person; format one without its handle, session or parameter.
_WORDS = {
    0x09D: ("tpm_policy", "its policy is not met: this boot is not one that the key belongs to"),  # POLICY_FAIL
    0x128: ("tpm_policy", "what the boot measured has changed since"),  # PCR_CHANGED
    0x08E: ("tpm_auth", "a required authorisation is missing"),  # AUTH_FAIL
    0x0A2: ("tpm_auth", "a required authorisation is missing"),  # BAD_AUTH
    0x921: ("tpm_locked_out", "it is locked out after failed authorisations; `tpm2_dictionarylockout -c` ends that"),
    0x09F: ("tpm_foreign", "this was made in another TPM, or by this one before it was cleared"),  # INTEGRITY
    0x08B: ("tpm_handle", "nothing of that handle is loaded"),  # HANDLE
    0x101: ("tpm_broken", "it has failed its own tests"),  # FAILURE
    0x100: ("tpm_broken", "it was not started"),  # INITIALIZE
}
_NOT_LOADED = range(0x910, 0x91F)  # REFERENCE_H0 to S6
_AGAIN = (0x908, 0x90A, 0x922)  # YIELDED, TESTING, RETRY: not executed, and the command may be repeated
_TRIES, _TRY_AGAIN_S = 40, 0.05


def u8(number: int) -> bytes:
    return number.to_bytes(1, "big")


def u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def sized(data: bytes) -> bytes:
    """TPM2B: a length of two bytes, and the data."""
    return u16(len(data)) + data


class Reader:
    """Reads fields of an answer; TpmFault if it ends too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self._data):
            raise TpmFault("tpm_silent", "the TPM's answer ends too soon")
        self.at += count
        return self._data[self.at - count : self.at]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def sized(self) -> bytes:
        return self.take(self.u16())


def password() -> bytes:
    """The authorisation of an object without a password."""
    return session(PASSWORD)


def session(handle: int, attributes: int = 0) -> bytes:
    """The authorisation by a session without a key: no nonce, no HMAC."""
    return u32(handle) + sized(b"") + u8(attributes) + sized(b"")


def run(
    transport: Transport,
    code: int,
    handles: bytes = b"",
    parameters: bytes = b"",
    auth: bytes = b"",
    made: bool = False,
) -> tuple[int, Reader]:
    """Runs one command. Returns the handle, if it makes one, and the answer's parameters. TpmFault if it is refused."""
    answer, rest = _exchanged(transport, code, handles, parameters, auth)
    handle = answer.u32() if made else 0
    return handle, Reader(answer.take(answer.u32())) if auth else Reader(answer.take(rest - 4 * made))


def answered(transport: Transport, code: int, handles: bytes, auth: bytes) -> tuple[bytes, Reader]:
    """Runs a command without parameters. Returns the answer's raw parameters, and their authorisation."""
    answer, rest = _exchanged(transport, code, handles, b"", auth)
    parameters = answer.take(answer.u32())
    return parameters, Reader(answer.take(rest - 4 - len(parameters)))


def _exchanged(transport: Transport, code: int, handles: bytes, parameters: bytes, auth: bytes) -> tuple[Reader, int]:
    """The answer after its header, and its length."""
    body = handles + (u32(len(auth)) + auth if auth else b"") + parameters
    head = u16(SESSIONS if auth else NO_SESSIONS) + u32(10 + len(body)) + u32(code)
    for _ in range(_TRIES):
        answer = Reader(transport.exchange(head + body))
        tag, size, response = answer.u16(), answer.u32(), answer.u32()
        if response not in _AGAIN:
            break
        select.select([], [], [], _TRY_AGAIN_S)
    if response:
        raise refused(response, code)
    if tag != (SESSIONS if auth else NO_SESSIONS) or size < 10:
        raise TpmFault("tpm_silent", "the TPM's answer is not to the request")
    return answer, size - answer.at


def refused(response: int, code: int) -> TpmFault:
    base = response & 0xBF if response & 0x80 else response
    if base in _NOT_LOADED:
        base = 0x08B
    name, text = _WORDS.get(base, ("tpm_refused", "it refuses"))
    return TpmFault(name, f"the TPM: {text} (response 0x{response:03x} to command 0x{code:03x})")


# --- Public areas (TPMT_PUBLIC) of objects in the TPM, and digests over them. Pure functions over bytes ---------------


_SHA256, _NULL, _AES, _CFB, _ECC, _KEYEDHASH, _P256 = 0x000B, 0x0010, 0x0006, 0x0043, 0x0023, 0x0008, 0x0003
# TPMA_OBJECT (part 2, 8.3)
_FIXED = 1 << 1 | 1 << 4  # fixedTPM, fixedParent: can never be moved to another TPM
_MADE_INSIDE = 1 << 5  # sensitiveDataOrigin: made inside the TPM
_BY_PASSWORD, _BY_POLICY_ALONE, _NO_LOCKOUT = 1 << 6, 1 << 7, 1 << 10  # userWithAuth, adminWithPolicy, noDA
_RESTRICTED, _DECRYPT, _SIGN = 1 << 16, 1 << 17, 1 << 18

# The storage key of TCG's provisioning guidance, plus noDA, which `tpm2_createprimary` omits: without it each power cut
# counts as a guess at its empty password, and after three of them the TPM is locked out.
_PRIMARY = _FIXED | _MADE_INSIDE | _BY_PASSWORD | _NO_LOCKOUT | _RESTRICTED | _DECRYPT
PRIMARY = (
    u16(_ECC) + u16(_SHA256) + u32(_PRIMARY) + sized(b"")
    + u16(_AES) + u16(128) + u16(_CFB) + u16(_NULL) + u16(_P256) + u16(_NULL) + sized(b"") + sized(b"")
)  # fmt: skip
_PCR_BYTES = 3


def signing_key(policy: bytes) -> bytes:
    """An ECDSA key of P-256 that signs only under that policy, without a password."""
    attributes = _FIXED | _MADE_INSIDE | _BY_POLICY_ALONE | _NO_LOCKOUT | _SIGN
    point = sized(b"") + sized(b"")
    scheme = u16(_NULL) + u16(_NULL) + u16(_P256) + u16(_NULL)  # symmetric, scheme, curve, kdf
    return u16(_ECC) + u16(_SHA256) + u32(attributes) + sized(policy) + scheme + point


def sealed_data(policy: bytes) -> bytes:
    """A secret that the TPM releases under that policy. noDA: a policy has no password to guess."""
    attributes = _FIXED | _BY_POLICY_ALONE | _NO_LOCKOUT
    return u16(_KEYEDHASH) + u16(_SHA256) + u32(attributes) + sized(policy) + u16(_NULL) + sized(b"")


def verifying_key(x: int, y: int) -> bytes:
    """A public P-256 key from outside, like `tpm2_loadexternal` of a PEM: its name depends on its attributes too."""
    head = u16(_ECC) + u16(_SHA256) + u32(_BY_PASSWORD | _DECRYPT | _SIGN) + sized(b"")
    scheme = u16(_NULL) + u16(_NULL) + u16(_P256) + u16(_NULL)
    return head + scheme + sized(x.to_bytes(32, "big")) + sized(y.to_bytes(32, "big"))


def point_of(public: bytes) -> bytes:
    """0x04, x and y from the public area of a P-256 key; TpmFault if it is too short."""
    reader = Reader(public)
    reader.take(8)
    reader.sized()
    if reader.u16() != _NULL:  # the symmetric cipher of a storage key has a size and a mode
        reader.take(4)
    reader.take(6)
    return b"\x04" + b"".join(reader.sized().rjust(32, b"\0") for _ in range(2))


def attributes_of(public: bytes) -> int:
    return int.from_bytes(public[4:8], "big")


def is_bound(public: bytes) -> bool:
    """Whether the key was made in its TPM, cannot leave it, and signs only under a policy."""
    wanted = _FIXED | _MADE_INSIDE | _SIGN
    return attributes_of(public) & (wanted | _BY_PASSWORD | _RESTRICTED) == wanted


def name_of(public: bytes) -> bytes:
    """A TPM's name of an object: its hash algorithm and hash (part 1, 16)."""
    return u16(_SHA256) + hashlib.sha256(public).digest()


def pcr_selection(pcrs: tuple[int, ...]) -> bytes:
    """TPML_PCR_SELECTION of the SHA-256 bank."""
    bits = sum(1 << pcr for pcr in pcrs)
    return u32(1) + u16(_SHA256) + u8(_PCR_BYTES) + bits.to_bytes(_PCR_BYTES, "little")


def pcr_policy(pcrs: tuple[int, ...], values: tuple[bytes, ...]) -> bytes:
    """The digest of a policy that requires these PCR values (part 3, TPM2_PolicyPCR)."""
    of_values = hashlib.sha256(b"".join(values)).digest()
    return hashlib.sha256(bytes(32) + u32(0x17F) + pcr_selection(pcrs) + of_values).digest()


def authorized_policy(public: bytes, ref: bytes) -> bytes:
    """The digest of a policy that accepts any policy signed by this key for `ref` (part 3, TPM2_PolicyAuthorize)."""
    by_key = hashlib.sha256(bytes(32) + u32(0x16A) + name_of(public)).digest()
    return hashlib.sha256(by_key + ref).digest()
