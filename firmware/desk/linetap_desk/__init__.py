# SPDX-License-Identifier: Apache-2.0
"""The central side: makes keys, verifies sealed calls, and opens them for the holders of both keys."""
