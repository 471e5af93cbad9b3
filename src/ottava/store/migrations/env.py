# SPDX-License-Identifier: Apache-2.0
"""What Alembic runs; the connection is the caller's, as is its transaction."""

from alembic import context

from ottava.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
