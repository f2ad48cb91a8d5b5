# SPDX-License-Identifier: Apache-2.0
"""What the recorder writes to disk. Touched by its disk thread alone."""
