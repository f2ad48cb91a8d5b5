# SPDX-License-Identifier: Apache-2.0
"""`linetap search`: calls of all units by number, name or extension, where the index keys are. docs/finding.md."""
