# SPDX-License-Identifier: Apache-2.0
"""`./build.sh bench`: what is called fast or exact, measured, one row a file, the method beside the figure."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the services have it, and before numpy loads
