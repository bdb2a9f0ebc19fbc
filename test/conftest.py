"""Its place counts: pytest puts this folder on the path, and `bag_player` is found."""
