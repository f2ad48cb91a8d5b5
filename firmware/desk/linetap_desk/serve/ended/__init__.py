# SPDX-License-Identifier: Apache-2.0
"""The calls that units ended: a supervisor can review each, and the caller can get a statement of the reason."""
