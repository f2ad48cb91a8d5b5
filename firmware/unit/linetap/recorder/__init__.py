# SPDX-License-Identifier: Apache-2.0
"""Service 2: follows the rings, detects calls, and seals them into the vault. Reads audio, has no network."""
