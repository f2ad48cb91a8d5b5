# SPDX-License-Identifier: Apache-2.0
"""Whether the far end has answered an outgoing call, judged from the line's audio."""
