"""Pages of those who manage people, machines, roles and grants."""
