"""Files that are whole or absent, and that cannot run code when they are read."""
