"""Its place counts: pytest puts this folder on the path, and modules beside it are found."""
