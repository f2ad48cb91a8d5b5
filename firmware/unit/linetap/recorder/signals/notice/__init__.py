# SPDX-License-Identifier: Apache-2.0
"""The place of a played notice, and the proof that the line returned it."""
