# SPDX-License-Identifier: Apache-2.0
"""Where commands lie on their way to the recorder, and its answers on theirs back."""

SPOOL = "commands"  # in run_dir
SUFFIX, ANSWER = ".command", ".answer"
