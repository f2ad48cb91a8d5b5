# SPDX-License-Identifier: Apache-2.0
"""The outbox: the signed events for the desk, their confirmation, and events rebuilt from the log after a loss."""
