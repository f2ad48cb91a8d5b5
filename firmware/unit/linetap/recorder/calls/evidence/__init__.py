# SPDX-License-Identifier: Apache-2.0
"""The evidence in the line's audio that the far end has answered an outgoing call."""
