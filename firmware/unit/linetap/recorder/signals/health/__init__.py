# SPDX-License-Identifier: Apache-2.0
"""What a line suffers from, by its voltage and its audio."""
