# SPDX-License-Identifier: Apache-2.0
"""Service 1, one a card: ALSA in and out and line levels into the ring; notices into the playback stream.

One thread. It holds the hard deadline and nothing else; whatever may be slow belongs to another process.
"""
