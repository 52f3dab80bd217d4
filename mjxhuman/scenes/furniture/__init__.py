"""Built-in furniture, intact or damaged."""
