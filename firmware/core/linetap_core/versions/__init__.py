# SPDX-License-Identifier: Apache-2.0
"""The log of versions: an entry for each published update, and the proof that a unit may require with its bundle."""
