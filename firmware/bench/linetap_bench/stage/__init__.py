# SPDX-License-Identifier: Apache-2.0
"""The equipment of a trial: child processes, brokers, a database, a cable, a unit with its keys."""
