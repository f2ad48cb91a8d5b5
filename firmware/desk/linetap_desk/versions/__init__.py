# SPDX-License-Identifier: Apache-2.0
"""`linetap versions`: the log of published updates, which witnesses cosign and in which a unit can demand an entry."""
