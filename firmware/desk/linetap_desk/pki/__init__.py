# SPDX-License-Identifier: Apache-2.0
"""The product's own certification authority: who may speak to the broker, and who no longer may.

A folder with the CA's key, its certificate, the register of what was issued, and what follows from the register: the
revocation list for the brokers and the signers' file for verification.
"""
