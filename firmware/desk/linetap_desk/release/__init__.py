# SPDX-License-Identifier: Apache-2.0
"""Opening calls by request: asked for by one, approved by two others, given out once. docs/release.md walks through."""
