# SPDX-License-Identifier: Apache-2.0
"""A line's sound: speech, an announcement, music, a tone, noise or silence; and changes of its far end."""
