# SPDX-License-Identifier: Apache-2.0
"""The evidence bundle: calls, their proofs, and a report for a court, in one zip (docs/bundle.md)."""
