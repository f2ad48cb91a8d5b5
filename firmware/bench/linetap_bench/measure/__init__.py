# SPDX-License-Identifier: Apache-2.0
"""`./build.sh bench`: the project's claims of speed and accuracy, measured; each figure with its method."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as for the services, and before numpy loads
