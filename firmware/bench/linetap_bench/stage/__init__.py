# SPDX-License-Identifier: Apache-2.0
"""What a trial stands on: child processes, brokers, a database, a cable, a unit with its keys."""
