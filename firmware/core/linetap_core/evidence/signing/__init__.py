# SPDX-License-Identifier: Apache-2.0
"""Signatures that stock `ssh-keygen` verifies (SSHSIG), and the rights to sign: allowed_signers, the authority."""
