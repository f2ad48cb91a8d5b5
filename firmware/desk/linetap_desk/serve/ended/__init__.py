# SPDX-License-Identifier: Apache-2.0
"""The calls that units ended: each can be reviewed by a supervisor, and the caller can be told why."""
