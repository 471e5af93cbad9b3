# SPDX-License-Identifier: Apache-2.0
"""What Ottava keeps: the only room that speaks SQL."""
