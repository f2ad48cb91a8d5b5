# SPDX-License-Identifier: Apache-2.0
"""The programs with which people use their keys on their own machines, by pages on the loopback: one program for every
step, and the custodian's helper, which plays a released call in memory. docs/custody.md."""
