# SPDX-License-Identifier: Apache-2.0
"""`linetap desk summary`: the figures of one day, by mail, to a webhook or on standard output. See docs/desk.md."""
