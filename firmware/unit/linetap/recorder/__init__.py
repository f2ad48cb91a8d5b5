# SPDX-License-Identifier: Apache-2.0
"""Service 2: follows the rings, decides what is a call, seals it into the vault. Reads audio, has no network."""
