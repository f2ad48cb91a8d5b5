# SPDX-License-Identifier: Apache-2.0
"""The custodian's helper on their own machine: a released call heard in memory, and given on. docs/custody.md."""
