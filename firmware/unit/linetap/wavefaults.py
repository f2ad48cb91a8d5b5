# SPDX-License-Identifier: Apache-2.0
"""What the standard library's `wave` raises for a file that is no WAV file, or a damaged one: more than its own error.

A reader that raises BadInput beside them, which is a ValueError too, lets that through first.
"""

from __future__ import annotations

import struct
import wave

# A chunk that leads behind the file's end is a RuntimeError, a length below zero a ValueError, one that no memory holds
# a MemoryError or an OverflowError.
WAVE_FAULTS = (EOFError, wave.Error, RuntimeError, ValueError, OverflowError, MemoryError, struct.error)
