"""Who may see what: principals, roles, sign-in and the one scope."""
