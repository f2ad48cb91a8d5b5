# SPDX-License-Identifier: Apache-2.0
"""Files that must survive: their replacement, and the envelope that detects a single flipped bit in a small one."""
