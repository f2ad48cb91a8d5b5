# SPDX-License-Identifier: Apache-2.0
"""Every file of a vault that is neither a call's nor the log's: what covers it, or that nothing does."""
