# SPDX-License-Identifier: Apache-2.0
"""`./build.sh bench day`: a city hall's day of calls, drawn from a seed, through the recorder's own ears and call
table, and a table of what it made of them."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the services have it, and before numpy loads
