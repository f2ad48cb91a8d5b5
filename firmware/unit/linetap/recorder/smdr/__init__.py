# SPDX-License-Identifier: Apache-2.0
"""What the PBX says of its calls (station message detail recording): read, joined to our calls, compared by day."""
