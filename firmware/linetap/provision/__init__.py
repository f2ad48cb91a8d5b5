# SPDX-License-Identifier: Apache-2.0
"""A unit's first minutes: one file on the boot partition becomes its configuration, and is wiped."""

CARD_WRONG = "linetap-card-wrong"  # below /run, beside the services' own folder: what the panel shows it by
