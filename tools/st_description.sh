#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches ST's own description of the meter's part, at two commits, into a folder: its SVD and its header for C
# (Apache-2.0 both). tests/hardware/test_part_registers.py compares the emulated part's table with them. Not part of
# ./build.sh test, which needs only Debian's mirror and PyPI: neither has a package with these files.
# usage: tools/st_description.sh [DIR]
set -euo pipefail
readonly TARGET=${1:-build/st} FROM=https://raw.githubusercontent.com
readonly SVD=modm-io/cmsis-svd-stm32/c97f752ff5154a9fdeb95c414c650e235efab31e/stm32g0/STM32G0B1.svd
readonly HEADER=STMicroelectronics/cmsis-device-g0/f576c24e123edf3332988ecd49512c0f35f85186/Include/stm32g0b1xx.h

mkdir -p "$TARGET"
cd "$TARGET"
for place in "$SVD" "$HEADER"; do
  curl --silent --show-error --fail --location --output "$(basename "$place")" "$FROM/$place"
done
sha256sum --check --quiet <<'END'
381bfd0705f680e6fba8792b60cd11e5a958289c3911c5f20ee44b1d8603fc66  STM32G0B1.svd
461f2c4a7f80bc317ddb1d16c067bedd58fac6c3c41a261cf01e05cf1013236f  stm32g0b1xx.h
END
