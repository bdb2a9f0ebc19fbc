"""The compiled kernels: arrays and numbers in, arrays changed in place. They check nothing.

Imports point one way here too: compilation, vectors, randomness, encoding, membrane and
plasticity, then the two presentations (stdp, recruiting) that the networks call.
"""
