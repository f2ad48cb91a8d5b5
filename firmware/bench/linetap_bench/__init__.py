# SPDX-License-Identifier: Apache-2.0
"""The simulated exchange: rings, dials, talks and hangs up on machines that have no lines."""
