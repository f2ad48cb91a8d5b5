# SPDX-License-Identifier: Apache-2.0
"""How the audio of a call is coded: one file a codec, and the list of them. No files, no network, no clock."""
