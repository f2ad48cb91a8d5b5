# SPDX-License-Identifier: Apache-2.0
"""A TPM 2.0, used directly: a dozen of its commands over the kernel's resource manager (decision 0088);
and a board's own key where there is none (decision 0160).
"""
