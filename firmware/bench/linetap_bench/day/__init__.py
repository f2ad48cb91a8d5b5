# SPDX-License-Identifier: Apache-2.0
"""`./build.sh bench day`: a city hall's day of calls, drawn from a seed, through the recorder's detectors and call
table, with a confusion table of the results."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as for the services, and before numpy loads
