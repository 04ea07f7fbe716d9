"""Django's PostgreSQL, with its health check made cheaper (``base``)."""
