# SPDX-License-Identifier: Apache-2.0
"""A TPM 2.0, used directly: a dozen of its commands over the kernel's resource manager (decision 0088); and the key of
a board without one (decision 0160).
"""
