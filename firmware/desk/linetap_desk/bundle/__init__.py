# SPDX-License-Identifier: Apache-2.0
"""The evidence bundle: calls, what proves them, and a report a judge can read, in one zip (docs/bundle.md)."""
