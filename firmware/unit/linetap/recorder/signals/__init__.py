# SPDX-License-Identifier: Apache-2.0
"""Detectors: from levels and audio to events. No files, no network; times are frames of the ring."""

# numpy would load these at their first use (np.median needs numpy.ma), during a call, from a disk that may not answer.
import numpy.fft
import numpy.linalg
import numpy.ma  # noqa: F401
