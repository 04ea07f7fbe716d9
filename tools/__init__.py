"""Scripts that run when the product is built or set up, never while it serves."""
