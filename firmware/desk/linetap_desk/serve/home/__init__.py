# SPDX-License-Identifier: Apache-2.0
"""The first page: the person's tasks, and the units with faults."""
