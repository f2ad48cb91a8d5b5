# SPDX-License-Identifier: Apache-2.0
"""`linetap watch`: shows the state of all units by the broker's messages. It only reads. `docs/desk.md` gives an
overview."""
