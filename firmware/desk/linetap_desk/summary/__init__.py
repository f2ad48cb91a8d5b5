# SPDX-License-Identifier: Apache-2.0
"""`linetap desk summary`: sends the figures of one day by mail, to a webhook or to standard output. See
docs/desk.md."""
