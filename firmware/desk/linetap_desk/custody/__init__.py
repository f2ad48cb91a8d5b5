# SPDX-License-Identifier: Apache-2.0
"""The custodian's helper on their own machine: plays a released call in memory, and hands it over. docs/custody.md."""
