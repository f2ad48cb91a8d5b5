# SPDX-License-Identifier: Apache-2.0
"""Configurations under which less is recorded, announced or kept: their detection, report and confirmation."""
