# SPDX-License-Identifier: Apache-2.0
"""What a line carries: speech, an announcement, music, a tone, noise or nothing; and whether its far end changed."""
