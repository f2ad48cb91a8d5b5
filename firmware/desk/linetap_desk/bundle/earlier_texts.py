# SPDX-License-Identifier: Apache-2.0
"""Earlier wordings of the report, so that the report of an earlier bundle can be compared to the byte.

(key, the last number of texts that had it) -> (Korean, English). These texts must stay as they are.
"""

from __future__ import annotations

EARLIER = {
    ("recovered", 2): (
        "정전 후 복구된 기록입니다. 통화 끝부분 약 1초가 없을 수 있습니다.",
        "Sealed after a power cut: about the last second may be missing.",
    ),
    ("opening_how", 5): (
        "암호문은 두 사람의 키가 모두 있어야 열립니다. 보관 책임자는 epoch.txt, 관리자는 custodian.txt를 보관합니다.",
        (
            "The ciphertext opens only with the keys of two people, the vault officer's epoch.txt and a custodian's "
            "custodian.txt:"
        ),
    ),
    ("rewrapped", 7): ("키가 {}의 보존 기한({})으로 옮겨졌습니다.", "Its key was moved to the day {} (until {})."),
    ("retention", 7): ("보존 기한", "To be destroyed"),
    ("until", 7): ("{} 이후 (분류: {})", "after {} (class {})"),
    ("destroyed", 7): (
        "이 통화가 속한 보존 기한의 키는 {}에 폐기되었습니다(폐기 증명서 첨부).",
        "The key of the day this call belongs to was destroyed at {} (the certificate is in the bundle).",
    ),
    ("proven_quorum", 7): (
        (
            "증인 {1}곳 중 {0}곳이 {2}까지 이 통화가 로그에 들어 있음을 확인하고 공동 서명하였습니다({3}). "
            "어느 증인을 믿을지는 확인하는 사람의 증인 정책에 따릅니다."
        ),
        (
            "{0} of {1} witnesses have cosigned that this call stood in the log by {2} ({3}). Whose word counts is for "
            "the witness policy of whoever checks to say."
        ),
    ),
    ("checker_typed", 8): (
        (
            "압축을 푼 뒤 그 폴더에서 아래 명령을 직접 입력하여 확인할 수 있습니다. 당사 소프트웨어는 필요 없습니다. "
            "$signers는 공개된 allowed_signers 파일, $tsa_ca는 시점확인기관이 직접 제공한 CA 인증서입니다."
        ),
        (
            "Unpack the zip and type the commands below in its folder. None of our software is needed. $signers is the "
            "allowed_signers file that was published, $tsa_ca the CA certificate that the time-stamp authority itself "
            "gives out."
        ),
    ),
    ("checking_needs", 8): (
        "필요한 도구: bash, coreutils, findutils, jq, OpenSSH. 시점확인에는 openssl, Sigsum 증명에는 sigsum-verify.",
        "Needed: bash, coreutils, findutils, jq, OpenSSH; openssl for a time stamp, sigsum-verify for a Sigsum proof.",
    ),
    ("checking_inclusion", 8): (
        "로그 포함 증명은 다음 함수로 확인합니다.",
        "That a call stands in the log is checked by this function:",
    ),
}
