"""The `topspark` command, one verb a module."""
