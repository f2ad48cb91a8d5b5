# SPDX-License-Identifier: Apache-2.0
"""Every sentence of the report, in Korean and in English: key -> (Korean, English). A change increments layout.TEXTS.

A sentence with `{}` is filled with values of the bundle. The words for the record's own values are in words.py.
"""

from __future__ import annotations

_LANGUAGES = ("ko", "en")

_SENTENCES = {
    "title": ("통화 녹음 증거 보고서", "Report on recorded telephone calls"),
    "case": ("사건", "Case"),
    "intro": (
        (
            "이 보고서는 증거 묶음에 어떤 통화가 들어 있고, 무엇이 증명되며 무엇이 증명되지 않는지를 설명합니다. "
            "전화번호와 이름은 이 보고서에 적지 않습니다."
        ),
        (
            "This report lists the calls in this evidence bundle, what is proven about them, and what is not. "
            "It contains no telephone number and no name."
        ),
    ),
    "source": (
        "모든 내용은 각 통화의 서명된 기록(record.json)에서 옮긴 것입니다. 보고서와 기록이 다르면 기록이 우선합니다.",
        "All statements are taken from each call's signed record (record.json). If they differ, the record counts.",
    ),
    "calls": ("통화", "Calls"),
    "call": ("통화 {}", "Call {}"),
    "unit": ("녹음 장치", "Recorder"),
    "line": ("회선", "Line"),
    "direction": ("방향", "Direction"),
    "disposition": ("처리 결과", "Outcome"),
    "ring_at": ("벨이 울린 시각", "Ringing began"),
    "off_hook_at": ("수화기를 든 시각", "Handset lifted"),
    "answered_at": ("응답 시각", "Answered"),
    "with_evidence": ("{} ({})", "{} ({})"),
    "ended_at": ("종료 시각", "Ended"),
    "end": ("종료 안내에 의한 종료", "Ended after a notice"),
    "end_for": ("사유: {} ({})", "Reason: {} ({})"),
    "end_began": ("종료를 시작한 시각: {}", "Begun at {}"),
    "end_opened": ("기기가 회선을 연 시각: {}", "The unit opened the line at {}"),
    "end_logged": (
        "장치 로그의 {}번째 항목에도 같은 내용이 적혀 있습니다.",
        "Entry {} of the recorder's log has the same statement.",
    ),
    "duration": ("통화 시간", "Length of the call"),
    "audio": ("녹음 길이", "Length of the recording"),
    "seconds": ("{}초", "{} s"),
    "coded": ("소리를 손실 압축했습니다: {}.", "Lossy compression: {}."),
    "notice": ("녹음 고지", "Notice of recording"),
    "no_notice": ("재생된 고지가 없습니다.", "No notice was played."),
    "notice_played": ("고지 “{}”: {}에 시작, {}에 종료.", "Notice “{}”: from {} to {}."),
    "notice_cut": (
        "고지 “{}”: {}에 시작하였으나 끝까지 재생되지 않았습니다.",
        "Notice “{}”: from {}, not played to its end.",
    ),
    "gaps": ("녹음의 빈 구간", "Gaps in the recording"),
    "no_gaps": (
        "빈 구간이 없습니다. 처음부터 끝까지 이어집니다.",
        "None: the recording is continuous from beginning to end.",
    ),
    "gap": ("{}초 지점에서 {}ms: {}", "at {} s, {} ms: {}"),
    "gap_unbounded": (" (더 길 수 있음)", " (possibly longer)"),
    "no_audio": ("녹음된 음성이 없습니다.", "Nothing was recorded."),
    "clock": ("장치의 시계", "The recorder's clock"),
    "clock_synced": ("표준시에 맞추어져 있었습니다{}.", "Was set to standard time{}."),
    "clock_offset": (" (편차 {}ms)", " (off by {} ms)"),
    "clock_free": (
        "표준시에 맞추어져 있지 않았습니다. 위의 시각은 참고로만 보아야 합니다.",
        "Was not set to standard time: the times above may be wrong.",
    ),
    "clock_unknown": ("기록되어 있지 않습니다.", "Not recorded."),
    "amended": ("실제 시각", "Actual time"),
    "amended_within": (
        (
            "위의 시각은 시계가 맞지 않아 정확하지 않습니다. "
            "통화는 늦어도 {}에 시작하여 {}에 끝났으며, 최대 {}초 더 이를 수 있습니다."
        ),
        "The unit's clock was wrong. The call began at {} and ended at {} at the latest, and at most {} s earlier.",
    ),
    "amended_latest": (
        (
            "위의 시각은 시계가 맞지 않아 정확하지 않습니다. "
            "통화는 늦어도 {}에 시작하여 {}에 끝났으며, 얼마나 더 이른지는 알 수 없습니다."
        ),
        "The unit's clock was wrong. The call began at {} and ended at {} at the latest, by an unknown margin.",
    ),
    "marks": ("통화 중 표시", "Marks made during the call"),
    "mark": ("{}초 지점: {}", "at {} s: {}"),
    "kept": ("보존 조치", "Hold"),
    "held": ("사건 {}, 근거 {}, {}까지 보존합니다.", "Case {}, legal basis {}, until {}."),
    "rewrapped": ("키를 {} 파기일의 키로 다시 봉인하였습니다({}까지).", "Its key was moved to the day {} (until {})."),
    "retention": ("파기일", "To be destroyed"),
    "until": ("{} 이후 (보존 구분: {})", "after {} (class {})"),
    "destroyed": (
        "이 통화의 파기일 키는 {}에 파기되었습니다(파기 확인서 첨부).",
        "The key of this call's day was destroyed at {} (the certificate is in the bundle).",
    ),
    "destroyed_by_one": (
        (
            "이 통화의 파기일 키를 {}에 파기하였다는 확인서가 첨부되어 있으나, 한 사람만 서명하였습니다. 두 사람의 "
            "서명이 없으므로 파기된 것으로 증명되지 않습니다."
        ),
        (
            "A certificate in the bundle states that the key of this call's day was destroyed at {}, but one person "
            "alone signed it. Without the signatures of two people the destruction is not proven."
        ),
    ),
    "destroyed_in_part": (
        (
            "일부 담당자가 {}까지 이 통화의 파기일 키를 파기하였습니다(파기 확인서 첨부). 나머지 담당자의 키로는 아직 "
            "열 수 있습니다."
        ),
        (
            "Some officers had destroyed their keys of this call's day by {} (the certificates are in the bundle). "
            "The keys of the others still open it."
        ),
    ),
    "signer": ("기록에 서명한 키", "Key that signed the record"),
    "sha256": ("기록의 SHA-256", "SHA-256 of the record"),
    "place": ("장치 로그에서의 위치", "Place in the recorder's log"),
    "leaf_of": ("전체 {}개 중 {}번째 항목", "entry {1} of {0}"),
    "opened": ("개봉된 음성", "Opened recording"),
    "opened_yes": (
        "opened/{}/call.wav. 이 통화의 전화번호가 든 전체 기록 call.json도 함께 들어 있습니다.",
        "opened/{}/call.wav, and beside it call.json, the whole record with the telephone numbers.",
    ),
    "unreleased": (
        "주의: 두 사람의 승인을 거치지 않고 개봉되었습니다.",
        "Warning: it was opened without the approval of two people.",
    ),
    "recovered": (
        "정전 후 복구된 기록입니다. 끝부분에서 누락되었을 수 있는 길이는 마지막 빈 구간에 표시됩니다.",
        "Recovered after a power cut: the last gap states how much may be missing at the end.",
    ),
    "continues": ("이어지는 앞 통화", "Continues call"),
    "proven": ("증명되는 것", "What is proven"),
    "proven_unchanged": (
        "각 통화의 기록과 암호문은 녹음 장치가 서명한 뒤 한 바이트도 바뀌지 않았습니다.",
        "No byte of any call's record and ciphertext has changed since the recorder signed them.",
    ),
    "proven_log": (
        "각 통화는 장치가 서명한 로그에 들어 있으며, 그 로그에는 이 기록의 SHA-256이 적혀 있습니다.",
        "Each call is in a log signed by the recorder, with the SHA-256 of this record.",
    ),
    "proven_witness": (
        "증인이 그 로그를 확인하고 함께 서명하였습니다. 증인은 앞서 본 로그를 이어 가는 로그에만 서명합니다({}).",
        "A witness has also signed that log; it signs only a continuation of the log that it signed before ({}).",
    ),
    "proven_quorum": (
        (
            "증인 {1}곳 중 {0}곳이 {2}까지 이 통화가 로그에 들어 있음을 확인하고 공동 서명하였습니다({3}). "
            "어느 증인을 믿을지는 확인하는 사람의 증인 규칙에 따릅니다."
        ),
        (
            "{0} of {1} witnesses have cosigned that this call was in the log by {2} ({3}). The verifier's own witness "
            "policy decides which witnesses count."
        ),
    ),
    "proven_stamp": (
        "시점확인기관이 {}에 그 로그가 이미 존재하였음을 확인하였습니다({}).",
        "A time-stamp authority confirms that this log existed at {} ({}).",
    ),
    "proven_heard": (
        "고지가 들렸는지는 녹음 장치가 회선에서 받은 소리 자체에서 측정한 결과입니다.",
        "The recorder measured in the sound of the line itself whether the notice was heard.",
    ),
    "unproven": ("증명되지 않는 것", "What is not proven"),
    "unproven_who": (
        "누가 말하였는지는 증명되지 않습니다. 회선과 시각만 알 수 있습니다.",
        "Who spoke. Only the line and the time are known.",
    ),
    "unproven_before": (
        "서명되기 전에 장치 자체가 조작되지 않았다는 것은 서명만으로 증명되지 않습니다.",
        "That nobody tampered with the recorder itself before it signed: a signature cannot show that.",
    ),
    "unproven_unseen": (
        "장치의 로그가 처음부터 다시 만들어지지 않았다는 것은 증명되지 않습니다. 증인의 서명이 없습니다({}).",
        "That the recorder's log was not started again from the beginning: no witness has signed it ({}).",
    ),
    "unproven_time": (
        "시각은 장치의 시계에 따른 것입니다. 시점확인은 그 시각 이전에 존재하였다는 것만 증명합니다.",
        "The times, which are by the recorder's clock. A time stamp proves only existence before its time.",
    ),
    "unproven_wav": (
        (
            "개봉된 음성(WAV)이 암호문과 같다는 것은 개봉한 사람의 진술에 따릅니다. 아래 ‘개봉’ 절차로 다시 확인할 수 "
            "있습니다."
        ),
        (
            "That an opened recording (WAV) equals the encrypted one: this is the statement of the person who opened "
            "it. It can be opened again, see Opening below."
        ),
    ),
    "unproven_copy": (
        "묶음 안의 signers 파일과 인증서는 스스로를 증명하지 못합니다. 반드시 공개된 지문과 비교하여야 합니다.",
        (
            "The signers file and the certificates in the bundle prove nothing by themselves: compare them with the "
            "published ones."
        ),
    ),
    "unproven_whole": (
        "이 묶음에 관련된 모든 통화가 들어 있다는 것은 증명되지 않습니다. 포함할 통화는 제출자가 골랐습니다.",
        "That these are all relevant calls: the maker of the bundle has chosen them.",
    ),
    "keys": ("서명 키", "Signing keys"),
    "keys_compare": (
        "아래 지문을 기관이 공개한 지문과 비교하여 주십시오.",
        "Compare these fingerprints with the published ones.",
    ),
    "checking": ("확인 방법", "How to check it"),
    "checker_typed": (
        (
            "압축을 푼 뒤 그 폴더에서 아래 명령을 위에서부터 차례로 직접 입력하여 확인할 수 있습니다. 당사 "
            "소프트웨어는 필요 없습니다. $signers는 공개된 allowed_signers 파일, $tsa_ca는 시점확인기관이 직접 제공한 "
            "CA 인증서입니다. 확인에 성공한 명령은 상태 0으로 끝나며, 아무것도 출력하지 않는 명령도 있습니다. 각 명령 "
            "다음에 echo $?를 입력하여 0인지 확인하십시오."
        ),
        (
            "Unpack the zip and type the commands below in its folder, from the first to the last. None of our "
            "software is needed. $signers is the published allowed_signers file, $tsa_ca the CA certificate from the "
            "time-stamp authority itself. A command succeeds with status 0, and some print nothing: type echo $? after "
            "each, and check that it is 0."
        ),
    ),
    "checker_which": (
        "같은 확인을 차례로 실행하는 공개 확인 프로그램: {}, 버전 {}. 그 SHA-256은 다음과 같습니다.",
        "A published program runs the same checks: {}, version {}. Its SHA-256 is:",
    ),
    "checker_where": (
        (
            "확인 프로그램은 이 묶음에 들어 있지 않습니다. linetap 소스 저장소의 docs/{0} 또는 서명 키의 지문을 공개한 "
            "기관에서 받으십시오. 그곳에 함께 공개된 SHA-256(docs/{0}.sha256)과 비교하여야 합니다. 묶음을 위조하는 "
            "사람은 이 보고서도 위조할 수 있으므로, 이 보고서의 값만으로는 부족합니다. case는 압축을 푼 폴더입니다."
        ),
        (
            "It is not in this bundle. Get it from docs/{0} of linetap's source repository, or from the publisher of "
            "the signing keys' fingerprints, and compare it with the SHA-256 that is published there "
            "(docs/{0}.sha256). This report is not sufficient: a forger of the bundle would forge it too. "
            "case is the folder of the unpacked bundle."
        ),
    ),
    "checker_data": (
        "묶음에는 자료만 들어 있습니다. 묶음에서 나온 프로그램은 어떤 것도 실행하지 마십시오.",
        "A bundle contains data only. Never run a program from a bundle.",
    ),
    "checking_needs": (
        (
            "필요한 도구: bash, coreutils, diffutils, findutils, sed, jq, OpenSSH 9.1 이상. 시점확인에는 openssl, "
            "Sigsum 증명에는 sigsum-verify."
        ),
        (
            "Needed: bash, coreutils, diffutils, findutils, sed, jq, OpenSSH 9.1 or later; openssl for a time stamp, "
            "sigsum-verify for a Sigsum proof."
        ),
    ),
    "checking_inclusion": (
        "먼저 아래 함수를 입력합니다. 로그 포함 증명은 이 함수로 확인합니다.",
        "Type this function first. It checks that a call is in the log:",
    ),
    "opening": ("개봉", "Opening"),
    "opening_how": (
        (
            "암호문은 두 사람의 키가 모두 있어야 열립니다. 키 관리자는 epoch.txt, 열람 담당자는 custodian.txt를 "
            "보관합니다."
        ),
        (
            "The ciphertext opens only with the keys of two people, the vault officer's epoch.txt and a custodian's "
            "custodian.txt:"
        ),
    ),
    "opening_kept": (
        (
            "보존 조치를 받았거나 파기일이 바뀐 통화의 키는 holds/{}/key.age입니다. calls의 key.age 대신 이 파일을 "
            "열고, epoch.txt로는 그 보존 조치나 새 파기일의 키를 씁니다."
        ),
        (
            "A call with a hold, or moved to another day, has its key in holds/{}/key.age. Open that file instead of "
            "the key.age in calls; epoch.txt is then the key of the hold or of the new day."
        ),
    ),
    "opening_group": (
        (
            "둘 중 한쪽을 여러 사람이 함께 맡은 경우 그 층은 tar 파일이며, 안의 파일 이름은 마지막 사람을 뺀 구성원의 "
            "번호입니다. 번호가 낮은 사람부터 차례로 엽니다. 1번과 3번이 여는 경우:"
        ),
        (
            "If one of the two is a group of people, that layer is a tar file. Its files are named by the numbers of "
            "the members except the last; the member with the lowest number opens first. With members 1 and 3:"
        ),
    ),
    "step_sums": (
        "모든 파일이 목록과 같고, 빠지거나 더해진 파일이 없습니다.",
        "Every file is as listed, and none is missing or added.",
    ),
    "step_signature": ("서명: {}", "Signature of {}"),
    "step_files": ("암호문은 기록에 적힌 그대로입니다: {}", "The ciphertext matches the record: {}"),
    "step_close": ("로그 항목은 이 기록의 것입니다: {}", "The log entry is of this record: {}"),
    "step_end": (
        "종료에 대한 로그 항목은 이 기록과 같습니다: {}",
        "The log entry of the call's end agrees with this record: {}",
    ),
    "step_kept": ("보존 조치는 이 기록의 것입니다: {}", "The hold is of this record: {}"),
    "step_kept_key": (
        "보존 조치에 적힌 통화 키가 함께 들어 있습니다: {}",
        "The key that the hold names is in the bundle: {}",
    ),
    "step_amended": ("이 기록에 대한 시각 정정입니다: {}", "The amendment is of this record: {}"),
    "step_opened": (
        "개봉된 파일의 내용과 길이가 기록과 맞습니다: {}",
        "The opened files match the record in content and length: {}",
    ),
    "step_in_head": ("장치의 로그에 들어 있습니다: {}", "The entry is in the recorder's log: {}"),
    "step_in_witness": (
        "증인이 확인한 로그에 들어 있습니다: {}",
        "The entry is in the log that the witness signed: {}",
    ),
    "step_in_stamp": ("시점확인을 받은 로그에 들어 있습니다: {}", "The entry is in the time-stamped log: {}"),
    "step_stamp": ("시점확인(RFC 3161): {}", "Time stamp (RFC 3161) of {}"),
    "step_sigsum": ("Sigsum 증명: {}", "Sigsum proof of {}"),
}


def sentence(language: str, key: str, *values: object) -> str:
    """The sentence, filled with the values."""
    return _SENTENCES[key][_LANGUAGES.index(language)].format(*values)
