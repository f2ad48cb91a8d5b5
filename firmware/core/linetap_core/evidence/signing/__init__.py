# SPDX-License-Identifier: Apache-2.0
"""Signatures that stock `ssh-keygen` checks (SSHSIG), and who may sign what: allowed_signers, the authority."""
