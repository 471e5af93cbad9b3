# SPDX-License-Identifier: Apache-2.0
"""The API described for machines (OpenAPI 3.1), out of the table of routes, the declarations and the policy rules."""

from ottava.api.openapi.document import Document, document

__all__ = ["Document", "document"]
