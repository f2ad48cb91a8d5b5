# SPDX-License-Identifier: Apache-2.0
"""`linetap tones learn`: makes a profile from recordings of a PBX's tones."""
