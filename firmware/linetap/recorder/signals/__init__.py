# SPDX-License-Identifier: Apache-2.0
"""What the line says, from levels and audio: no files, no network, times in frames of the ring."""
