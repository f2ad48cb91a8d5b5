# SPDX-License-Identifier: Apache-2.0
"""Service 3, the only one with a network: sends the outbox and the services' states to the broker."""
