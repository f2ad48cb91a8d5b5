# SPDX-License-Identifier: Apache-2.0
"""`python -m linetap.bench.day`."""

import sys

from linetap.bench.day.command import main

sys.exit(main())
