# SPDX-License-Identifier: Apache-2.0
"""The desk's end of the way: what units report, judged and stored. `docs/desk.md` has it in a page."""
