"""Recordings: datasets written as bags, bags evaluated as the nodes would, and reports of it."""
