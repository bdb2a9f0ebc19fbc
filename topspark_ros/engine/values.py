"""What goes into a network and what comes out of it: spikes, answers, counts of operations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class OperationCounts(NamedTuple):
    """Exact numbers of the operations that presentations took.

    Estimated energy is the sum of each count times the energy of one such operation.

    Parameters
    ----------
    input_spikes
        Spikes of the encoded sample that were presented. With constant-current coding, one value a
        step for every pixel that is not black. Learning by the recruiting rule takes one graded
        event more of each of these pixels; the discriminant, of each input that has more to say,
        one for each of its later looks. Spiking features that a layer sees add those of the picture
        to those of the layer, and when learned one graded event as the discriminant does.
    output_spikes
        Spikes of excitatory neurons, and currents of filters that fire, of the discriminant at each
        look; of an encoder's features those that are not 0.
    synaptic_operations
        Additions of a weight to a membrane potential: one for every pair of input spike and neuron
        in use, and one for every neuron that an output spike inhibits (the recruiting rule's
        inhibition only ends the presentation). A graded event reaches the neurons that spiked, to
        learn. With an inhibitory layer, an output spike takes one for its inhibitory neuron and one
        for every neuron that this inhibits.
    neuron_updates
        Neurons in use, inhibitory ones included, times timesteps. Clocked hardware leaks and
        compares every neuron at every step. The discriminant has a neuron for each filter at each
        place, for each feature and for each class; a later look counts as a step. This engine skips
        silent steps, which saves its own running time and is not counted as a saving of that
        hardware.
    synaptic_updates
        Weights rewritten by learning: all weights of a neuron at an update after an output spike,
        one weight at an input spike. The recruiting rule also rewrites the neuron's affinities with
        those in use, and the read-out weights of the neurons that spiked; the discriminant, half of
        its symmetric matrix and the weights of all classes.
    """

    input_spikes: int = 0
    output_spikes: int = 0
    synaptic_operations: int = 0
    neuron_updates: int = 0
    synaptic_updates: int = 0


class SpikeTrain(NamedTuple):
    """Spikes: a sample given in spikes (an event camera's), or the output spikes of a presentation.

    Parameters
    ----------
    steps
        (spikes,) integers from 0, ascending: the simulation step of each spike.
    neurons
        (spikes,) integers from 0: the input (or output) neuron. An input may spike more than once
        in a step.
    """

    steps: np.ndarray
    neurons: np.ndarray


class Response(NamedTuple):
    """The network's answer to one presentation.

    Parameters
    ----------
    scores
        (classes,) float32, for each class, 0 to 1. Under STDP its share of the evidence, in sum at
        most 1; with the recruiting rule a softmax, in sum 1, or zeros without evidence.
    predicted
        The class with most evidence, None if there is no evidence for any.
    evidence
        Log-odds of the class `predicted` against all others by the scores, 0 if there are none;
        NaN without a prediction.
    novelty
        How unlike the class `predicted` the sample is, >= 0; NaN: unknown. Of the discriminant a
        squared distance over what is usual, about 1 for a new sample of the class
        (kernels.discriminant). With the recruiting rule 1 less the cosine similarity with the
        class's neuron that spiked first. Under STDP it is unknown.
    timesteps
        T, the number of steps that the sample was presented for.
    counts
        Operations that the presentation took.
    """

    scores: np.ndarray
    predicted: int | None
    evidence: float
    novelty: float
    timesteps: int
    counts: OperationCounts


class Responses(NamedTuple):
    """The network's answers to many presentations.

    Parameters
    ----------
    scores
        (samples, classes) float32, as of a Response.
    predicted
        (samples,) int64, -1 if there is no evidence.
    evidence, novelty
        (samples,) float32, as of a Response.
    timesteps
        (samples,) int64.
    counts
        (samples, 5) int64, columns in the order of OperationCounts.
    """

    scores: np.ndarray
    predicted: np.ndarray
    evidence: np.ndarray
    novelty: np.ndarray
    timesteps: np.ndarray
    counts: np.ndarray

    def total_counts(self) -> OperationCounts:
        """Operations of all presentations."""
        return OperationCounts(*self.counts.sum(axis=0).tolist())
