"""A policy with its body, engine and task; what it does with a motion, and how well."""
