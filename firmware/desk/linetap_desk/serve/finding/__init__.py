# SPDX-License-Identifier: Apache-2.0
"""Finding calls by number, at the centre: a person states the reason, gets the sealed indexes, and each search is
logged before its result is shown. No number is sent here: the search runs on the machine with the index keys."""
