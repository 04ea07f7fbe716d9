"""Django's statements for tables, where an index that is made while others write may be made twice."""

from typing import Any

from django.db.backends.postgresql import schema


class SchemaEditor(schema.DatabaseSchemaEditor):
    """As Django's; ``AddIndexConcurrently`` can be repeated after a kill, which leaves an index that is not valid."""

    def add_index(self, model: Any, index: Any, concurrently: bool = False) -> None:
        """Remove what an attempt before has left."""
        if concurrently:
            self.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.quote_name(index.name)}")
        super().add_index(model, index, concurrently=concurrently)
