# SPDX-License-Identifier: Apache-2.0
"""`linetap search`: finds calls of all units by number, name or extension, on a machine with the index keys.
docs/finding.md."""
