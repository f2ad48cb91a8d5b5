# SPDX-License-Identifier: Apache-2.0
"""Releases and holds on pages: files from one person's device to the next, judged early, logged before anything is
done. No key is here that opens, approves, holds, destroys or appoints."""
