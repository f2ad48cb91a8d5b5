# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# The card: sizes in MiB, and names, the same in every build. Read by build.sh and its scripts.
# boot 256 | a 400 | b 400 | state 64 | data: the rest of the card
# A card of `image --signed` has each slot's boot.img in its own partition, 2 and 3 (root/usr/lib/linetap/autoboot):
# boot 256 | boot-a 128 | boot-b 128 | a 400 | ... The boot partitions are adjacent, and have enough clusters for FAT32:
# boot loaders were reported not to find others on such a table (raspberrypi/rpi-eeprom#818).
readonly BOOT_MIB=256 SLOT_MIB=400 STATE_MIB=64 DATA_MIB=128 BOOTPART_MIB=128
readonly DISK_ID=6c696e65-7461-4000-8000-000000000000
readonly BOOT_ID=6c696e65-7461-4000-8000-000000000001 BOOT_SERIAL=6C696E65
readonly BOOT_A_ID=6c696e65-7461-4000-8000-00000000001a BOOT_B_ID=6c696e65-7461-4000-8000-00000000001b
readonly A_ID=6c696e65-7461-4000-8000-00000000000a
readonly B_ID=6c696e65-7461-4000-8000-00000000000b
readonly STATE_ID=6c696e65-7461-4000-8000-000000000005
readonly DATA_ID=6c696e65-7461-4000-8000-00000000000d
readonly VERITY_ID=6c696e65-7461-4000-8000-00000000000f
