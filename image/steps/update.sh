# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Updates: the trusted signer of a unit's updates, and the update of this build. LINETAP_UPDATE_CERTIFICATE and
# LINETAP_UPDATE_KEY name the signer's files; without them a development key is made, once, in build/update-key/.

readonly MADE=build/update-key
readonly CERTIFICATE=${LINETAP_UPDATE_CERTIFICATE:-$MADE/certificate.pem} KEY=${LINETAP_UPDATE_KEY:-$MADE/key.pem}

trust_signer() {
  if [ ! -s "$CERTIFICATE" ]; then
    [ "$CERTIFICATE" = "$MADE/certificate.pem" ] || fail "$CERTIFICATE: there is no certificate"
    mkdir -p "$MADE"
    (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7300 \
      -subj '/O=linetap/CN=linetap development' -keyout "$MADE/key.pem" -out "$CERTIFICATE" 2>/dev/null)
  fi
  install -D -m 644 "$CERTIFICATE" "$ROOT/etc/rauc/keyring.pem"
  openssl x509 -in "$CERTIFICATE" -noout -pubkey >"$ROOT/usr/lib/linetap/release.pem" || fail "$CERTIFICATE: is none"
}

# Prints the choices that a site should have made, for the person who builds.
name_choices() {
  local words=()
  [ "$CERTIFICATE" != "$MADE/certificate.pem" ] ||
    words=("for DEVELOPMENT: its key lies unencrypted in $MADE/. A site sets LINETAP_UPDATE_CERTIFICATE and LINETAP_UPDATE_KEY")
  say "updates are believed from $(openssl x509 -in "$CERTIFICATE" -noout -subject -nameopt RFC2253 | sed 's/^subject=//')" "${words[@]}"
  [ "${LINETAP_FIRMWARE:-}" ] ||
    say "start4.elf is Debian's: newer Pi 4B with 1 or 8 GiB may ask for a newer one. A site sets LINETAP_FIRMWARE (docs/boards.md)"
}

# Not in SHA256SUMS: its signature and salt differ each time; the signed content does not.
write_bundle() {
  local signed=()
  say "update"
  [ ! -d "$FIRST" ] || signed=("$SIGNED")
  rm -f "$OUT"/linetap-*.raucb
  image/bundle.sh "$VERSION" "$OUT/slot.img" "$OUT/slot.cmdline" image/boot/config.txt \
    "$OUT/linetap-$VERSION.raucb" "$CERTIFICATE" "$KEY" "${signed[@]}" >"$WORK/bundle.log" 2>&1 || fail "$(tail -n 3 "$WORK/bundle.log")"
}
