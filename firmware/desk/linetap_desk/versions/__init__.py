# SPDX-License-Identifier: Apache-2.0
"""`linetap versions`: the log of published updates, which witnesses cosign; a unit can require an entry in it."""
