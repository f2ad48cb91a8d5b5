#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Signs a folder of packages for apt: sign.sh FOLDER KEY, an OpenPGP key of gpg's. Release names the hash of Packages, and
# that the hash of each package; InRelease is Release signed, and linetap.pgp is the public key for [signed-by=].
set -euo pipefail
cd "${1:?sign.sh FOLDER KEY}"
key=${2:?sign.sh FOLDER KEY}
gpg --batch --yes --quiet --local-user "$key" --clearsign --output InRelease Release
gpg --batch --yes --quiet --output linetap.pgp --export "$key"
