# SPDX-License-Identifier: Apache-2.0
"""Service 1, one a card: ALSA in and out and line levels into the ring; notices into the playback stream.

One thread, which has the hard deadline and nothing else; slow work belongs to another process.
"""
