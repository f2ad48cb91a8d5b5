# SPDX-License-Identifier: Apache-2.0
"""Witnesses that cosign a log's heads, in the formats of C2SP and Sigsum."""
