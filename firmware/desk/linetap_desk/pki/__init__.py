# SPDX-License-Identifier: Apache-2.0
"""The product's own certification authority: the certificates for the broker, and their revocation.

Its folder has the CA's key, its certificate, the register of issued certificates, and the files derived from the
register: the revocation list for the brokers and the signers' file for verification.
"""
