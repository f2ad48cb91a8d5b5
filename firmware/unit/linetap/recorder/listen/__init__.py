# SPDX-License-Identifier: Apache-2.0
"""`linetap signals`: what the detectors hear in a recording of the lines."""
