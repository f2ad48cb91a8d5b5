# SPDX-License-Identifier: Apache-2.0
"""`python -m linetap_bench.day`."""

import sys

from linetap_bench.day.command import main

sys.exit(main())
