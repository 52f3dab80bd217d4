"""Values of the launchers' settings, one file each: ``get_config()`` and, where there are variants, their names."""
