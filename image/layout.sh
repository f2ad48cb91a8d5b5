# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# The card: sizes in MiB, and names that are the same in every build. Read by build.sh and what it starts.
# boot 256 | a 400 | b 400 | state 64 | data: what is left of the card
readonly BOOT_MIB=256 SLOT_MIB=400 STATE_MIB=64 DATA_MIB=128
readonly DISK_ID=6c696e65-7461-4000-8000-000000000000
readonly BOOT_ID=6c696e65-7461-4000-8000-000000000001 BOOT_SERIAL=6C696E65
readonly A_ID=6c696e65-7461-4000-8000-00000000000a
readonly B_ID=6c696e65-7461-4000-8000-00000000000b
readonly STATE_ID=6c696e65-7461-4000-8000-000000000005
readonly DATA_ID=6c696e65-7461-4000-8000-00000000000d
readonly VERITY_ID=6c696e65-7461-4000-8000-00000000000f
