# SPDX-License-Identifier: Apache-2.0
"""How the tables came to be what they are, one revision after another (Alembic)."""

HEAD = "0007"
"""The newest revision; known here, so that a process that starts need not import Alembic to find nothing to do."""
