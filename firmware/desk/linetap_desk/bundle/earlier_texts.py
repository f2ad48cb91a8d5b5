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
}
