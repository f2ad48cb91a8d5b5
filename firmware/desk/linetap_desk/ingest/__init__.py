# SPDX-License-Identifier: Apache-2.0
"""Units' reports: received, verified, stored and confirmed. `docs/desk.md` gives an overview."""
