# SPDX-License-Identifier: Apache-2.0
"""Finding calls by number from the centre: the reason is given here, the sealed indexes are given out, and each search
is logged before it is answered. No number comes here: it is searched where the index keys are."""
