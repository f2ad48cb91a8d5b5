# SPDX-License-Identifier: Apache-2.0
"""Keys and their text forms, of age and OpenSSH. Nothing is imported here: a public key needs no `cryptography`."""
