# SPDX-License-Identifier: Apache-2.0
"""`linetap watch`: the state of all units, as the broker has it. It only reads. `docs/desk.md` gives an overview."""
