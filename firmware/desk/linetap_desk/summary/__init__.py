# SPDX-License-Identifier: Apache-2.0
"""`linetap desk summary`: what a day was, in numbers, to people who do not sit before the pages. docs/desk.md."""
