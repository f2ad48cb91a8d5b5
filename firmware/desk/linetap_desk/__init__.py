# SPDX-License-Identifier: Apache-2.0
"""The central side: makes keys, verifies what units sealed, opens it for those who hold both keys."""
