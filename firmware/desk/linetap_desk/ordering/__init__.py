# SPDX-License-Identifier: Apache-2.0
"""Signed commands to units: made, cosigned, sent."""
