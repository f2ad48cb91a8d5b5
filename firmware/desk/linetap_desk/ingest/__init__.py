# SPDX-License-Identifier: Apache-2.0
"""What units report: received, verified, stored and confirmed. `docs/desk.md` gives an overview."""
