# SPDX-License-Identifier: Apache-2.0
"""Whether a call, a vault or a bundle is as its unit sealed it. Needs no secret."""
