# SPDX-License-Identifier: Apache-2.0
"""Service 1, one for each card: writes audio and line levels into the ring, and plays notices.

Its one thread has a hard deadline and no other work; slow work is done in other processes.
"""
