# SPDX-License-Identifier: Apache-2.0
"""The folder of a call while it is written: its parts, gaps and files, and the jobs that make them."""
