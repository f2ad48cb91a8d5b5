# SPDX-License-Identifier: Apache-2.0
"""The codecs of a call's audio: one file each, and their registry. No files, no network, no clock."""
