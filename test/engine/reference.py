"""The networks step by step in NumPy, as the equations read: slow, and independent of kernels.

Spikes come from accumulators that are advanced every step, potentials are updated every step,
traces decay every step, weights are float64. Only what the equations leave open is taken from
the engine: the phases of the inputs and the random numbers.
"""

from __future__ import annotations

import numpy as np

from topspark_ros.engine.kernels import spike_phases, uniform

SPIKE = 2**32


def input_spikes(pixels: np.ndarray, rate: float, timesteps: int) -> np.ndarray:
    """Which inputs spike in which step, (timesteps, inputs) bool."""
    x = pixels.astype(np.float64)
    norm = np.sqrt((x * x).sum())
    probability = np.minimum(1.0, rate / norm * x) if norm > 0 else x
    increment = [int(p * SPIKE) for p in probability]
    accumulator = [int(phase) for phase in spike_phases(len(pixels))]
    spikes = np.zeros((timesteps, len(pixels)), bool)
    for t in range(timesteps):
        for i in range(len(pixels)):
            accumulator[i] += increment[i]
            if accumulator[i] >= SPIKE:
                accumulator[i] -= SPIKE
                spikes[t, i] = True
    return spikes


def rate_of(timesteps: int, limit: float) -> float:
    return min(limit, 9.0 * min(1.0, 200 / 9 / timesteps))


def most(scores: np.ndarray) -> int | None:
    return int(np.argmax(scores)) if scores.size and scores.max() > 0 else None


class Recruiting:
    """The recruiting rule."""

    def __init__(self, inputs: int, neurons: int, limit: float, seed: int) -> None:
        self.neurons, self.limit = neurons, limit
        self.weights = np.zeros((neurons, inputs))  # one row per neuron
        self.votes = np.zeros((neurons, 0))
        self.theta = np.zeros(neurons)
        self.attractions = np.zeros(neurons, int)
        self.class_frames = np.zeros(0, int)
        self.recruited = self.frames = 0
        self.mean = self.variance = 0.0
        self.error_rate = 1.0
        self.generator = np.array([seed], np.uint64)

    def learn(self, pixels, timesteps, label):
        while label is not None and len(self.class_frames) <= label:
            self.votes = np.hstack([self.votes, np.zeros((self.neurons, 1))])
            self.class_frames = np.append(self.class_frames, 0)
        spikes = input_spikes(pixels, rate_of(timesteps, self.limit), timesteps)
        m = self.recruited
        v = np.zeros(m)
        for t in range(timesteps):
            for j in range(m):
                v[j] += self.weights[j, spikes[t]].sum()
        n = spikes.sum(axis=0)
        if n.sum() == 0:
            return None, [0, 0, 0, m * timesteps, 0]
        unit = n / np.linalg.norm(n)

        order = np.argsort(-(v - self.theta[:m] * np.linalg.norm(n)), kind='stable')[:3]
        scores = np.zeros(len(self.class_frames))
        for omega, j in zip((1.0, 0.45, 0.2), order):
            scores += omega * self.votes[j] / (self.votes[j].sum() + 2) / 1.65
        predicted = most(scores)
        changed = self._plasticity(unit, v, order, scores, predicted, label)
        spent = int(n.sum())
        counts = [spent, len(order), spent * m, m * timesteps, changed * len(pixels)]
        return predicted, counts

    def _plasticity(self, unit, v, order, scores, predicted, label):
        first_label = self.class_frames.sum() == 0
        if label is not None:
            self.class_frames[label] += 1
            high, low = 1, -2
        else:
            high, low = (3, 0) if first_label else (-1, -4)
        m = self.recruited
        b = order[0] if m else None
        novel = self.frames < 10
        if m:
            match = self.weights[b] @ unit
            z = high + (low - high) * m / self.neurons
            novel |= match < self.mean + z * np.sqrt(self.variance)
            rate = max(1 / self.frames, 0.005)
            difference = match - self.mean
            self.mean += rate * difference
            self.variance = (1 - rate) * (self.variance + rate * difference**2)
        self.frames += 1
        wrong = False
        if label is not None:
            wrong = b is None or predicted != label or most(self.votes[b]) != label
            self.error_rate += ((predicted != label) - self.error_rate) / 30

        imprinted, changed = None, 0
        if (wrong or novel) and m < self.neurons:
            self.recruited += 1
            imprinted, changed = m, 1
            self._imprint(m, unit, label, scores, m)
        elif wrong:
            imprinted = self._victim(label)
            if imprinted is not None:
                self._imprint(imprinted, unit, label, scores, m)
                changed = 1
            else:
                right = max(
                    (j for j in range(m) if most(self.votes[j]) == label), key=lambda j: v[j]
                )
                self._attract(right, unit)
                changed = 1
                if right != b:
                    self.votes[right, label] += 1
                    self._move(b, unit, -0.04)
                    changed = 2
        elif label is not None or not novel:
            self._attract(b, unit)
            changed = 1
            if label is None and first_label:
                self.theta[b] += 3e-4
        if label is not None and b is not None and b != imprinted:
            self.votes[b, label] += 1
        return changed

    def _victim(self, label):
        owner = [most(self.votes[j]) for j in range(self.neurons)]
        owned = np.array([owner.count(c) for c in range(len(self.class_frames))])
        chance = uniform(self.generator)
        share = 0.6 * self.neurons / (self.class_frames > 0).sum()
        if owned[label] >= share and chance >= self.error_rate**2:
            return None
        candidates = [j for j in range(self.neurons) if owner[j] in (None, np.argmax(owned))]

        def worth(j):
            votes = self.votes[j]
            return (self.attractions[j] + 1) * votes.max() / votes.sum() if votes.any() else 0

        return min(candidates, key=worth)

    def _imprint(self, j, unit, label, scores, in_use):
        self.weights[j] = unit
        self.attractions[j] = 1
        self.theta[j] = self.theta[:in_use].mean() if in_use else 0
        self.votes[j] = 0
        if label is not None:
            self.votes[j, label] = 1
        elif scores.sum() > 0:
            self.votes[j] = 0.3 * scores / scores.sum()

    def _attract(self, j, unit):
        step = max(1 / (1 + self.attractions[j]), 0.02)
        self.attractions[j] += 1
        self._move(j, unit, step)

    def _move(self, j, unit, step):
        moved = np.maximum(self.weights[j] + step * (unit - self.weights[j]), 0)
        self.weights[j] = moved / np.linalg.norm(moved)


class Pairwise:
    """Pair-wise STDP, one winner resets all."""

    def __init__(self, weights: np.ndarray, limit: float) -> None:
        self.weights = weights.T.astype(float)  # one row per neuron
        neurons = len(self.weights)
        self.limit = limit
        self.responses = np.zeros((neurons, 0))
        self.theta = np.zeros(neurons)
        self.learning_rate = np.ones(neurons)
        self.class_frames = np.zeros(0, int)
        self.gain = 1150 / 130 / 200
        self.window = []  # (output spikes, wanted) of each sample

    def learn(self, pixels, timesteps, label):
        while label is not None and len(self.class_frames) <= label:
            self.responses = np.hstack([self.responses, np.zeros((len(self.theta), 1))])
            self.class_frames = np.append(self.class_frames, 0)
        rate = rate_of(timesteps, self.limit)
        spikes = input_spikes(pixels, rate, timesteps)
        neurons = len(self.theta)
        drive = rate * timesteps
        cap = min(16.0, max(1.5, 0.8 * np.sqrt(neurons)))
        wanted = min(max(min(timesteps / 4, drive * 11.4 / 70), 1.5), cap)
        g = self.gain * drive / wanted

        v, x, winners = np.zeros(neurons), np.zeros(len(pixels)), []
        for t in range(timesteps):
            v *= np.exp(-1 / 100)
            x *= np.exp(-1 / 100)
            x += spikes[t]
            v += self.weights[:, spikes[t]].sum(axis=1)
            over = v - g * (13 + self.theta)
            if over.max() >= 0:
                winner = int(np.argmax(over))
                winners.append(winner)
                v[:] = 0
                self.theta[winner] += 8 / wanted
                eta = min(0.5, 0.8 / wanted) * self.learning_rate[winner]
                w = self.weights[winner]
                w += eta * (78.4 * x / x.sum() - w)
                self.learning_rate[winner] *= 0.5 ** (1 / (12 * wanted))
                self.learning_rate[winner] = max(0.02, self.learning_rate[winner])

        output = np.bincount(winners, minlength=neurons)
        scores = np.zeros(len(self.class_frames))
        for j in winners:
            if self.responses[j].any():
                scores += self.responses[j] / self.responses[j].sum() / len(winners)
        spent = int(spikes.sum())
        if spent:
            if label is not None and winners:
                self.class_frames[label] += 1
                rate = max(1 / self.class_frames[label], 0.01)
                response = self.responses[:, label]
                response += rate * (output / len(winners) - response)
            self.window.append((len(winners), wanted))
            if len(self.window) == 250:
                spiked, asked = np.mean(self.window, axis=0)
                self.gain *= np.clip((spiked + 0.05) / asked, 0.5, 2) ** 0.5
                self.window = []
        counts = [spent, len(winners), spent * neurons, neurons * timesteps]
        return most(scores), [*counts, len(winners) * len(pixels)]
