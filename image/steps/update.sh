# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Updates: the trusted signer of a unit's updates, and the update of this build. LINETAP_UPDATE_CERTIFICATE and
# LINETAP_UPDATE_KEY name the signer's files; without them a development key is made, once, in build/update-key/. With
# a certificate alone, the publisher's, this build's update has a signature that no unit accepts, and its boots are
# those that the publisher has signed in LINETAP_PUBLISHED_CMDLINE.

readonly MADE=build/update-key
readonly CERTIFICATE=${LINETAP_UPDATE_CERTIFICATE:-$MADE/certificate.pem}
UPDATE_KEY=${LINETAP_UPDATE_KEY:-}
[ "$UPDATE_KEY" ] || [ "${LINETAP_UPDATE_CERTIFICATE:-}" ] || UPDATE_KEY=$MADE/key.pem
readonly UPDATE_KEY

make_signer() { # FOLDER NAME
  mkdir -p "$1"
  (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7300 \
    -subj "/O=linetap/CN=$2" -keyout "$1/key.pem" -out "$1/certificate.pem" 2>/dev/null)
}

trust_signer() {
  if [ ! -s "$CERTIFICATE" ]; then
    [ "$CERTIFICATE" = "$MADE/certificate.pem" ] || fail "$CERTIFICATE: there is no certificate"
    make_signer "$MADE" "linetap development"
  fi
  install -D -m 644 "$CERTIFICATE" "$ROOT/etc/rauc/keyring.pem"
  install -m 644 "$CERTIFICATE" "$OUT/certificate.pem"
  openssl x509 -in "$CERTIFICATE" -noout -pubkey >"$ROOT/usr/lib/linetap/release.pem" || fail "$CERTIFICATE: is none"
}

# Prints the choices that a site should have made, for the person who builds.
name_choices() {
  local words=()
  [ "$UPDATE_KEY" ] || say "no unit accepts the update: there is a certificate, and no LINETAP_UPDATE_KEY to sign with"
  grep -q ' linetap\.boot=' "$OUT/slot.cmdline" ||
    say "no TPM signs for a unit or opens its card with this image: no key of P-256 has signed its boots (docs/tpm.md)"
  [ "$CERTIFICATE" != "$MADE/certificate.pem" ] ||
    words=("for DEVELOPMENT: its key lies unencrypted in $MADE/. A site sets LINETAP_UPDATE_CERTIFICATE and LINETAP_UPDATE_KEY")
  say "updates are believed from $(openssl x509 -in "$CERTIFICATE" -noout -subject -nameopt RFC2253 | sed 's/^subject=//')" "${words[@]}"
}

# Its signature and salt differ each time; the manifest has the hash of the signed content, which does not.
write_bundle() {
  local signed=() certificate=$CERTIFICATE key=$UPDATE_KEY
  say "update"
  if [ -z "$key" ]; then
    make_signer "$WORK/nobody" "linetap comparison"
    certificate=$WORK/nobody/certificate.pem key=$WORK/nobody/key.pem
  fi
  [ ! -d "$FIRST" ] || signed=("$SIGNED")
  rm -f "$OUT"/linetap-*.raucb
  image/bundle.sh "$VERSION" "$OUT/slot.img" "$OUT/slot.cmdline" image/boot/config.txt \
    "$OUT/linetap-$VERSION.raucb" "$certificate" "$key" "${signed[@]}" >"$WORK/bundle.log" 2>&1 || fail "$(tail -n 3 "$WORK/bundle.log")"
}
