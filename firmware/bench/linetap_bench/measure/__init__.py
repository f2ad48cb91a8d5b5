# SPDX-License-Identifier: Apache-2.0
"""`./build.sh bench`: measures the project's claims of speed and accuracy; each figure with its method."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the services; set before numpy loads
