"""The real services the product stands on, each started as a child process of ours."""
