# SPDX-License-Identifier: Apache-2.0
"""`linetap tones learn`: a profile from recordings of a PBX's tones: spectrum, cadence, profile, and the command."""
