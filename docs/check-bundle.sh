#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# check-bundle.sh, version 9: checks an unpacked evidence bundle of linetap with stock tools, and runs nothing out of it.
#
#   bash check-bundle.sh FOLDER SIGNERS [TSA_CA [SIGSUM_POLICY]]
#
# FOLDER         the bundle, unpacked by unzip
# SIGNERS        the allowed_signers file that was PUBLISHED; the copy in the bundle proves nothing about itself
# TSA_CA         where there is a time stamp: the CA certificate of its authority, from the authority
# SIGSUM_POLICY  where there is a Sigsum proof: the logs and witnesses that you trust, else the bundle's own are taken
#
# It comes from elsewhere than the bundle, and `sha256sum check-bundle.sh` says whether it is the one that was published.
# Needed: bash, coreutils, diffutils, findutils, grep, sed, jq, OpenSSH 9.1 or later (times with Z); openssl for a time
# stamp, sigsum-verify for a Sigsum proof.
set -euo pipefail
export LC_ALL=C
usage="bash check-bundle.sh FOLDER SIGNERS [TSA_CA [SIGSUM_POLICY]]"
self=$(realpath -e -- "$0")
folder=$(realpath -e -- "${1:?$usage}")
signers=$(realpath -e -- "${2:?$usage}")
tsa_ca=${3:+$(realpath -e -- "$3")}
sigsum_policy=${4:+$(realpath -e -- "$4")}
title=start
work=$(mktemp -d)
ended() {
  local status=$?
  rm -rf -- "$work"
  test $status = 0 || echo "FAILED: $title" >&2
}
trap ended EXIT
cd -- "$folder"

step() { title=$1; printf '%s\n' "$1"; }
fail() { title="$title: $1"; exit 1; }
used() { printf './%s\n' "$@" >> "$work/used"; }

id='[0-9]{8}T[0-9]{6}\.[0-9]{3}Z-L[0-9]{2,3}(-[0-9A-Za-z]{1,16})?'
unit='[a-z0-9][a-z0-9-]{1,39}'
offices=' witness authority vault custodian operator desk officer roles release '

digits() {  # FILE FIELD...: a time of a document, as ssh-keygen takes it
  local at
  at=$(jq -r 'getpath($ARGS.positional) | strings' "$1" --args "${@:2}")
  [[ $at =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$ ]] || fail "$1 has no time ${*:2}"
  printf '%sZ' "${at:0:4}${at:5:2}${at:8:2}${at:11:2}${at:14:2}${at:17:2}"
}

signature() {  # WHO NAMESPACE TIME FILE SIGNATURE [COUNTED]
  local at=$3
  step "Signature of $4 by $1"
  if [[ $2 =~ ^linetap-(record|head)$ ]] && ((10#${at:0:4} < 2026)); then  # by a clock that nobody kept, which says nothing
    at=${6:-}
    echo "note: its clock stood at $3: the key is judged as of ${at:-now}"
  elif test -n "${6:-}" && ! verified "$1" "$2" "$at" "$4" "$5" > "$work/said" 2>&1; then
    at=$6
    echo "note: its clock stood at $3, when the key did not count: judged as of $at, which the unit signed later"
  fi
  verified "$1" "$2" "$at" "$4" "$5"
  used "$4" "$5"
}

verified() {  # WHO NAMESPACE TIME FILE SIGNATURE
  local time=(${3:+-O "verify-time=$3"})
  ssh-keygen -Y verify -f "$signers" -I "$1" -n "$2" "${time[@]}" -s "$5" < "$4"
}

people() {  # Those lines of the signers whose keys sign nothing that a unit signs, whichever line would let them
  local office=${offices// /|} blank='[[:blank:]]' own='linetap-(record|head|event|walk|retired)'
  office="(${office:1:-1})"
  grep -vE "^$blank*(#|$)" "$signers" > "$work/named" || true
  {
    grep -E "^$office(,$office)*$blank" "$work/named" || true
    grep -E "($blank|,)namespaces=\"[^\"*?!]+\"" "$work/named" | grep -vE "namespaces=\"([^\",]*,)*${own}[,\"]" || true
  } > "$work/no-unit"
  { grep -vxFf "$work/no-unit" "$work/named" | grep -oE 'AAAA[0-9A-Za-z+/]+=*' || true; } > "$work/of-units"
  grep -vFf "$work/of-units" "$work/no-unit" > "$work/people" || true
}

person() {  # NAMESPACE TIME FILE SIGNATURE: by somebody who is named for it ($by), with a key ($key) that is no unit's
  local who signers=$signers
  step "Signature $4 of $3"
  who=$(ssh-keygen -Y find-principals -f "$signers" -O verify-time="$2" -s "$4" < "$3") || fail "by nobody in the signers"
  people
  signers=$work/people
  ssh-keygen -Y find-principals -f "$signers" -O verify-time="$2" -s "$4" < "$3" > "$work/who" ||
    fail "signed by the unit ${who%%[,$'\n']*}: a key that may sign what units sign"
  who=$(< "$work/who")
  by=${who%%[,$'\n']*}
  signature "$by" "$1" "$2" "$3" "$4"
  key=$(ssh-keygen -Y check-novalidate -n "$1" -s "$4" < "$3" | grep -oE 'SHA256:[0-9A-Za-z+/]{43}')
}

little() {  # NUMBER BYTES: as a WAV counts
  local number=$1 left=$2
  while ((left--)); do
    printf '%b' "\\x$(printf %02x $((number & 255)))"
    number=$((number >> 8))
  done
}

wav_header() {  # SAMPLES: 16 bits, one channel, 8000 a second
  local size=$((2 * $1))
  printf RIFF && little $((36 + size)) 4 && printf 'WAVEfmt ' && little 16 4 && little 1 2 && little 1 2
  little 8000 4 && little 16000 4 && little 2 2 && little 16 2 && printf data && little "$size" 4
}

inclusion() {  # LEAF PROOF HEAD: hashes the leaf upwards to the root (RFC 6962, section 2.1; RFC 9162, section 2.1.3.2)
  local node side other pair size at last wanted
  node=$( (printf '\0'; cat -- "$1") | sha256sum | cut -c1-64)
  read -r at size < <(sed -n '1s/^leaf \([0-9]\{1,18\}\) of \([0-9]\{1,18\}\)$/\1 \2/p' "$2") || fail "$2 is no path"
  test "$size" = "$(jq -r .size "$3")" || fail "the path is to another head"
  at=$((10#$at)) last=$((10#$size - 1))
  test "$at" -le "$last" || fail "$2 is not the path of the leaf that it names"
  while read -r side other; do
    wanted=right
    if ((at & 1 || at == last)); then
      wanted=left
      while ((at > 0 && !(at & 1))); do at=$((at >> 1)) last=$((last >> 1)); done
    fi
    at=$((at >> 1)) last=$((last >> 1))
    test "$side" = "$wanted" || fail "$2 is not the path of the leaf that it names"
    if test "$side" = left; then pair=$other$node; else pair=$node$other; fi
    [[ $pair =~ ^[0-9a-f]{128}$ ]] || fail "$2 is no path"
    # shellcheck disable=SC2001
    node=$(printf '%b' "\\x01$(sed 's/../\\x&/g' <<< "$pair")" | sha256sum | cut -c1-64)
  done < <(sed 1d "$2")
  test "$last" = 0 || fail "$2 is not the path of the leaf that it names"
  test "$node" = "$(jq -r .root "$3")" || fail "the leaf is not under the head"
  used "$1" "$2"
}

step "This checker and the signers are not from the bundle"
for path in "$self" "$signers" "$tsa_ca" "$sigsum_policy"; do
  case $path/ in "$PWD"/*) fail "$path is in the bundle" ;; esac
done

step "Two names in the signers that look the same are no two people"
# Of each line the name: no character that nobody sees or that looks like other letters, none that is not composed, no
# letters of two alphabets that look alike, no space around it.
jq -Rrn 'def alike: [("Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Coptic", "Lisu") as $each
    | select(test("\\p{\($each)}"))] | length > 1;
  [inputs | select(test("^[ \\t\\r]*(#|$)") | not) |
    capture("^[ \\t\\r]*(?<name>[^ \\t\\r\"]*(\"[^\"]*\")?)").name | gsub("\""; "")] | to_entries[]
  | select(.value | test("[\\p{C}\\p{Zl}\\p{Zp}\\x{34f}\\x{115f}\\x{1160}\\x{17b4}\\x{17b5}\\x{180b}-\\x{180f}\\x{2800}\\x{3164}\\x{ffa0}]")
    or test("[\\x{fe00}-\\x{fe0f}\\x{1d159}\\x{e0000}-\\x{e0fff}\\x{300}-\\x{36f}\\x{1100}-\\x{11ff}\\x{2160}-\\x{217f}]")
    or test("[\\x{3099}\\x{309a}\\x{3131}-\\x{318e}\\x{a960}-\\x{a97f}\\x{d7b0}-\\x{d7ff}\\x{f900}-\\x{faff}\\x{fb00}-\\x{fb06}]")
    or test("[\\x{ff01}-\\x{ffee}\\x{1d400}-\\x{1d7ff}\\x{2f800}-\\x{2fa1f}]")
    or test("[\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{202f}\\x{205f}\\x{3000}]") or test("(^|,)!? | (,|$)")
    or any(split(",")[]; alike)) | .value' "$signers" > "$work/unseen"
test ! -s "$work/unseen" || fail "$(sed -n l "$work/unseen" | sed -n 1p) has a character that nobody sees, letters that look alike, or a space around it"

step "Only plain files, with names of a bundle"
found() {  # TEXT CONDITION...: the first name of that kind, if there is one
  local name
  name=$(find . "${@:2}" -print -quit)
  test -z "$name" || fail "$(printf %q "$name") $1"
}
found "was put there by macOS or Windows, and is not the sender's: unpack the zip again, into a new folder" \
  \( -name .DS_Store -o -name '._*' -o -name __MACOSX -o -iname thumbs.db -o -iname desktop.ini \)
found "is something other than a file" ! -type f ! -type d
found "is a file name with characters of no bundle" -name '*[!A-Za-z0-9._-]*'
test -z "$(find . -type f ! -name 'audio.*.age' ! -name call.wav ! -name SHA256SUMS -size +4096k -print -quit)" ||
  fail "a document is too large"
test "$(jq -r .format bundle.json)" = 4 || fail "bundle.json: a format unknown to this version"
known="report\.(ko|en)\.html|SHA256SUMS|signers|bundle\.json|policy|sigsum/policy"
known+="|calls/$id/(record\.json(\.sig)?|meta\.age|key\.age|audio\.[0-9]{3}\.age)|opened/$id/call\.(wav|json)"
known+="|logs/$unit/((head|witness|stamp)\.json(\.sig)?|witness\.json\.witness\.sig|stamp\.json\.tsr|tsa-ca\.pem)"
known+="|logs/$unit/(leaves/$id\.json|(head|witness|stamp)/$id\.path|witnessed/$id\.tlog-proof)"
known+="|logs/$unit/(ends/$id\.json|(head|witness|stamp)/$id\.end\.path)"
known+="|sigsum/$id\.(proof|pub)|holds/$id/((hold|rewrap)\.json(\.sig)?|key\.age)"
known+="|amended/$id\.json(\.sig)?"
known+="|certificates/[0-9A-Za-z-]+(\.officer-[1-9](-[1-9])*)?\.destroyed\.json((\.second)?\.sig)?"
strange=$(find . -type f | grep -vEx "\./($known)" || true)
test -z "$strange" || fail "${strange%%$'\n'*} does not belong in a bundle"
used SHA256SUMS bundle.json signers report.ko.html report.en.html

step "Every file is as listed, and none is missing or added"
find . -type f ! -path ./SHA256SUMS | sort | xargs sha256sum | cmp - SHA256SUMS

shopt -s nullglob
units=()
for record in calls/*/record.json; do
  call=${record#calls/}
  call=${call%/record.json}
  step "Call $call"
  of=$(jq -r '.unit | strings' "$record")
  [[ $call =~ ^$id$ && $of =~ ^$unit$ ]] || fail "not the name of a call or a unit"
  [[ $offices != *" $of "* ]] || fail "$of is not a unit's name"
  test "$(jq -r '.call_id | strings' "$record")" = "$call" || fail "the record is of another call"
  test "$(jq -r '.suite | strings' "$record")" = linetap-1 || fail "a suite unknown to this version"
  units+=("$of")
done
test ${#units[@]} -gt 0 || fail "there is no call in it"

for record in calls/*/record.json; do
  call=${record#calls/}
  call=${call%/record.json}
  of=$(jq -r .unit "$record")
  sha256=$(sha256sum < "$record" | cut -c1-64)
  counted=
  if test -e "amended/$call.json"; then
    counted=$(digits "amended/$call.json" began_at)
  elif jq -e '.actual | objects' "$record" > "$work/has"; then
    counted=$(digits "$record" actual began_at)
  fi
  signature "$of" linetap-record "${call:0:8}${call:9:6}Z" "$record" "$record.sig" "$counted"

  step "The ciphertext matches the record: $call"
  jq -e '.files | type == "object" and all(keys[]; test("^(audio\\.[0-9]{3}|meta|key)\\.age\\z"))
    and all(.[]; type == "string" and test("^[0-9a-f]{64}\\z"))' "$record" > "$work/said" ||
    fail "the record has an invalid file name or hash"
  jq -r '.files | to_entries[] | "\(.value)  \(.key)"' "$record" > "$work/files"
  if test -s "$work/files"; then (cd "calls/$call" && sha256sum --check --strict --quiet "$work/files"); fi
  while read -r _ name; do used "calls/$call/$name"; done < "$work/files"

  step "The log entry is of this record: $call"
  leaf=logs/$of/leaves/$call.json
  test "$(jq -r --arg call "$call" 'select(.kind == "close" and .call_id == $call).record_sha256' "$leaf")" = "$sha256"
  for kind in head witness stamp; do
    head=logs/$of/$kind.json
    test "$kind" = head || test -e "$head" || continue
    step "The entry is in the recorder's log, by $kind.json: $call"
    inclusion "$leaf" "logs/$of/$kind/$call.path" "$head"
  done

  end=logs/$of/ends/$call.json
  if test -e "$end" || test "$(jq -r '.end != null' "$record")" = true; then
    test -e "$end" || fail "$end is missing: the record says how the call was ended"
    step "The log entry of the call's end agrees with this record: $call"
    said=$(jq -c --arg call "$call" 'select(.kind == "end" and .call_id == $call)
      | [.situation, .by, .code_at, .released_at, .seen_by, .ended_at, .ended_by]' "$end")
    test -n "$said" || fail "$end is not the end of this call"
    recorded=$(jq -c '(.end | [.situation, .by, .code_at, .released_at, .seen_by]) + [.ended_at, .ended_by]' "$record")
    test "$said" = "$recorded"
    for kind in head witness stamp; do
      head=logs/$of/$kind.json
      test "$kind" = head || test -e "$head" || continue
      step "The end is in the recorder's log, by $kind.json: $call"
      inclusion "$end" "logs/$of/$kind/$call.end.path" "$head"
    done
    ended=$(sed -n '1s/^leaf \([0-9][0-9]*\) of .*/\1/p' "logs/$of/head/$call.end.path")
    closed=$(sed -n '1s/^leaf \([0-9][0-9]*\) of .*/\1/p' "logs/$of/head/$call.path")
    test "$ended" -lt "$closed" || fail "the end is after the close"
  fi

  amended=amended/$call.json
  if test -e "$amended"; then
    at=$(digits "$amended" made_at)
    signature "$of" linetap-record "$at" "$amended" "$amended.sig"
    step "The amendment is of this record: $call"
    test "$(jq -r .record_sha256 "$amended")" = "$sha256"
    test "$(jq -r '.suite + " " + .unit + " " + .call_id' "$amended")" = "linetap-amendment-1 $of $call"
  fi

  for kept in "holds/$call/hold.json" "holds/$call/rewrap.json"; do
    test -e "$kept" || continue
    at=$(digits "$kept" made_at)
    person linetap-hold "$at" "$kept" "$kept.sig"
    step "The hold is of this record: $call"
    test "$(jq -r .record_sha256 "$kept")" = "$sha256"
    test "$(jq -r .call_id "$kept")" = "$call"
    step "The key is the one that the hold names: $call"
    key=holds/$call/key.age
    test "$(jq -r .key_sha256 "$kept")" = "$(sha256sum < "$key" | cut -c1-64)"
    used "$key"
  done

  if test -e "opened/$call/call.json"; then
    step "The opened files match the record in content and length: $call"
    whole=opened/$call/call.json wav=opened/$call/call.wav
    test "$(jq -cS 'del(.dialled, .also_dialled, .caller, .smdr, .unreleased)' "$whole")" = "$(jq -cS . "$record")"
    samples=$(jq '.audio.samples | select(type == "number" and . == floor and . >= 0)' "$record")
    test "$(stat -c %s "$wav")" = "$((44 + 2 * samples))"
    wav_header "$samples" | cmp - <(head -c 44 -- "$wav") || fail "$wav has another length, rate or coding"
    used "$whole" "$wav"
  fi

  if test -e "sigsum/$call.proof"; then
    step "Sigsum proof of $call"
    proof=sigsum/$call.proof key=sigsum/$call.pub
    printf '%s %s\n' "$of" "$(cat "$key")" > "$work/key"
    ssh-keygen -Y verify -f "$work/key" -I "$of" -n linetap-record -s "$record.sig" < "$record"
    sigsum-verify -k "$key" -p "${sigsum_policy:-sigsum/policy}" "$proof" < "$record"
    test -n "$sigsum_policy" || echo "note: checked by the bundle's own policy, which its maker chose"
    used "$proof" "$key" sigsum/policy
  fi

  proof=logs/$of/witnessed/$call.tlog-proof
  if test -e "$proof"; then
    echo "note: $proof is not checked here: linetap verify --policy does"
    used "$proof" policy
  fi
done

while read -r of; do
  for kind in head witness stamp; do
    head=logs/$of/$kind.json
    test -e "$head" || continue
    at=$(digits "$head" at)
    signature "$of" linetap-head "$at" "$head" "$head.sig"
    test "$(jq -r .unit "$head")" = "$of" || fail "the head is of another unit"
    case $kind in
      witness) signature witness linetap-head "$at" "$head" "$head.witness.sig" ;;
      stamp)
        step "Time stamp (RFC 3161) of $of"
        test -n "$tsa_ca" || fail "TSA_CA is missing: the bundle has a time stamp: $usage"
        openssl ts -verify -data "$head" -in "$head.tsr" -CAfile "$tsa_ca"
        openssl ts -reply -in "$head.tsr" -token_out -out "$work/token"
        openssl ts -reply -in "$work/token" -token_in -text > "$work/said"
        grep -qxE 'Hash Algorithm: (sha|sha3-)(256|384|512)' "$work/said" || fail "over a hash for which other bytes can be made"
        used "$head.tsr" "logs/$of/tsa-ca.pem"
        ;;
    esac
  done
done < <(printf '%s\n' "${units[@]}" | sort -u)

for gone in certificates/*.destroyed.json; do
  epoch=${gone#certificates/}
  epoch=${epoch%%.*}
  step "The certificate is of the day of a call in it: $epoch"
  test "$(jq -r '.epoch | strings' "$gone")" = "$epoch" || fail "$gone is of another day"
  jq -e --arg epoch "$epoch" 'select(.retention.epoch == $epoch)' calls/*/record.json > "$work/said" ||
    fail "$gone is of no call in it"
  at=$(digits "$gone" destroyed_at)
  person linetap-certificate "$at" "$gone" "$gone.sig"
  printf '%s %s\n' "$key" "${by// /}" >> "$work/by-$epoch"
  second=$(jq -r '.second | strings' "$gone")
  if test -n "$second"; then
    first=$key
    person linetap-certificate "$at" "$gone" "$gone.second.sig"
    test "$key" = "$second" || fail "$gone.second.sig is not by the second person whom the certificate names"
    test "$key" != "$first" || fail "both signatures of $gone are by one key"
    printf '%s %s\n' "$key" "${by// /}" >> "$work/by-$epoch"
  fi
done
for certified in "$work"/by-*; do  # a person has one key and one name
  epoch=${certified##*/by-}
  by_key=$(cut -d' ' -f1 "$certified" | sort -u | wc -l)
  by_name=$(cut -d' ' -f2 "$certified" | tr '[:upper:]' '[:lower:]' | sort -u | wc -l)
  number=$((by_key < by_name ? by_key : by_name))
  if test "$number" -ge 2; then
    echo "certified by $number people: $epoch"
    jq -rs --arg epoch "$epoch" '(map(.officers // [] | .[]) | unique) as $gone | (map(.of // 1) | max) as $of
      | (map(.needed // 1) | min) as $needed | select($of > 1 and $of - ($gone | length) >= $needed)
      | "note: \($epoch): of \($of) officers \($of - ($gone | length)) have their keys, and \($needed) open it"' \
      "certificates/$epoch".*destroyed.json
  else
    echo "note: $epoch: one person alone certified it: the destruction is not proven"
  fi
done

step "Each file was covered by one of these checks"
find . -type f | sort > "$work/found"
sort -u "$work/used" | comm -13 - "$work/found" > "$work/left"
test ! -s "$work/left" || fail "$(sed -n 1p "$work/left")"

title=end
echo "All checks succeeded. The reports explain them; if one differs from the signed record.json, the record counts."
