# SPDX-License-Identifier: Apache-2.0
"""`./build.sh bench day`: runs a city hall's day of calls, drawn from a seed, through the recorder's detectors and call
table, and prints a confusion table of the results.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the services; set before numpy loads
