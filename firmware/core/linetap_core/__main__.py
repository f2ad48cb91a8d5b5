# SPDX-License-Identifier: Apache-2.0
"""`python -m linetap_core`: the `linetap` command if it is not on the path."""

import sys

from linetap_core.cli import main

sys.exit(main())
