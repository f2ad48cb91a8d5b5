# SPDX-License-Identifier: Apache-2.0
"""How a unit requests its TLS certificate, and X.509 as the authority writes it. Pure: no files."""
