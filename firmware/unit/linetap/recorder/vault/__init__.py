# SPDX-License-Identifier: Apache-2.0
"""The recorder's data on the disk. Used by its disk thread alone."""
