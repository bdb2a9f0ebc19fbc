"""Everything between a sensor and the network: images, objects, events, datasets, bags, scenes.

Import from the modules. They are not gathered here, so that raw images need neither Numba nor the
readers of bags.
"""
