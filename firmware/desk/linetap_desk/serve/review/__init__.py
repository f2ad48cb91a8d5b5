# SPDX-License-Identifier: Apache-2.0
"""The auditor's monthly review of the access log."""
