# SPDX-License-Identifier: Apache-2.0
"""The file for an accusation: released calls of one case as an evidence bundle, and the draft of a statement with their
times and situations. See docs/desk-protection.md."""
