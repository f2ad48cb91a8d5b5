# SPDX-License-Identifier: Apache-2.0
"""Requests, stores and judges witnesses' cosignatures and time stamps of units' logs, by a policy."""
