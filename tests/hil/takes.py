# SPDX-License-Identifier: Apache-2.0
"""The duration of each group of tests: the second figure of the table that a run prints.

A run starts with the longest remaining group; groups without a figure come first. The figures only determine the order,
so rough ones suffice.
"""

from __future__ import annotations

from typing import Final

# A file whose tests share a machine, or a single test.
TAKES: Final = {
    "test_updates.py": 1300,
    "test_healing.py": 360,  # mainly a new unit's root, read and written block by block
    "test_closet.py": 690,
    "test_card.py::test_card_that_was_pulled_yields_nothing_and_is_not_taken_back_after_a_change": 260,
    "test_card.py::test_an_update_of_an_encrypted_card_opens_it": 370,
    "test_card.py::test_a_tpm_opens_the_card_in_a_boot_of_this_image": 33,
    "test_odd_starts.py::test_a_time_server_sets_a_clock_that_is_a_year_off": 204,
    "test_pi_boots.py": 330,  # 20 to its root, 160 to its services, 150 for bringup
    "test_leds.py": 240,  # 100 alone; it makes the kept machines of a short run, so it starts early
    "test_pi_fuses.py::test_a_card_that_the_boards_key_opens_yields_nothing_in_another_board": 265,
    "test_firmware.py": 210,  # 30 alone; before tests that wait while another run makes the kept machine
    "test_first_start.py": 200,
    "test_power_cuts.py::test_ten_power_cuts_in_mid_call[0]": 160,  # it makes the machine for the others
    "test_power_cuts.py::test_a_kernel_that_stops_or_hangs_starts_again": 230,
    "test_odd_starts.py::test_a_data_partition_that_is_broken": 155,
    "test_odd_starts.py::test_a_clock_that_is_a_year_off": 120,
    "test_odd_starts.py::test_a_wrong_card": 200,
    "test_laid_files.py::test_files_laid_onto_the_state_partition": 150,
    "test_hanging_start.py::test_a_start_that_hangs_is_ended_and_the_other_slot_comes": 120,
    "test_card.py::test_power_cuts_while_a_card_is_encrypted": 80,
    "test_signed_card.py::test_a_signed_card_starts_and_its_slot_is_named_anew_by_writes_of_any_order": 130,
    "test_meter.py::test_a_call_that_comes_in": 80,
    "test_odd_starts.py::test_nmap_finds_nothing": 97,
    "test_power_on.py::test_power_on_to_ready": 127,
    "test_healing.py::test_first_blocks_that_rot_are_mended": 118,
    "test_power_cuts.py::test_ten_power_cuts_in_mid_call": 65,
    "test_config_written.py::test_a_slot_is_chosen_by_one_sector_in_any_order_of_writes": 50,
    "test_clock_chip.py::test_the_clock_chip_keeps_the_time_and_gives_it_to_the_kernel": 10,
    "test_healing.py::test_both_slots_rot": 49,
    "test_leds.py::test_each_pattern_is_known_by_its_look": 0,
    "test_pi_boots.py::test_the_table_of_boards_is_that_of_the_image": 0,
}
