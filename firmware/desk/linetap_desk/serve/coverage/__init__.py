# SPDX-License-Identifier: Apache-2.0
"""The page of coverage: which of the office's telephones are recorded."""
