"""TopSpark's claims and ours, measured: `make reproduce`."""
