# SPDX-License-Identifier: Apache-2.0
"""Call-progress tones, fax tones and voice."""
