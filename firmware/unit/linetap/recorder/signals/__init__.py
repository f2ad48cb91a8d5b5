# SPDX-License-Identifier: Apache-2.0
"""What the line says, from levels and audio: no files, no network, times in frames of the ring."""

# numpy loads these when they are first used (np.median the second): in mid-call, from a disk that may not answer.
import numpy.fft
import numpy.linalg
import numpy.ma  # noqa: F401
