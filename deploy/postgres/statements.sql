-- Statements that took the most time, for the page Speed. Run once, as superuser, in the database of Lightbox.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
