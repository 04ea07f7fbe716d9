"""What only the index knows, beside the objects in the store; and the index made anew from there."""
