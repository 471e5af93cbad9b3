# SPDX-License-Identifier: Apache-2.0
"""Ottava: load balancing as a service."""

__version__ = "0.1.0"
