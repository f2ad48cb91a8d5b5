# SPDX-License-Identifier: Apache-2.0
"""The recorder's data on the disk, used by its disk thread alone."""
