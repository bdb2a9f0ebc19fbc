"""The networks step by step in NumPy, as the equations read: slow, and independent of kernels.

Every step of a presentation is one row of a table of input spikes; potentials and traces decay
in every step; weights are plain float64. Only what the equations leave open is taken from the
engine: the phases of the inputs and random numbers, and by the tests initial weights.

The engine computes in float32, so it may decide a comparison of almost equal numbers the other
way: `closest` is the smallest distance so far between two numbers that were compared, in units
of what float32 surely resolves. From a distance below 1 on the networks may part.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from topspark_ros.engine import NetworkConfig, SpikeTrain
from topspark_ros.engine.kernels import randomness

from .compiled import compiled
from .reference_encoding import encode

# What is resolved: relative potentials; matches and evidence; the length of currents that shows
# their direction.
POTENTIAL, EVIDENCE, CURRENT = 1e-4, 1e-5, 1e-2

seed_from = compiled(randomness.seed_from)
uniform = compiled(randomness.uniform)


class Outcome(NamedTuple):
    """What one presentation gives."""

    predicted: int | None
    scores: np.ndarray
    evidence: float  # as of a Response
    novelty: float
    timesteps: int
    counts: tuple[int, ...]  # input, output, synaptic operations, neuron and synaptic updates
    raster: list[tuple[int, int]]  # step and neuron of each output spike


class Reference:
    """What all networks have in common: how samples are presented and classes compared."""

    def __init__(self, config: NetworkConfig) -> None:
        self.config = config
        self.weights = np.zeros((config.neurons, config.inputs))  # one row per neuron
        self.theta = np.zeros(config.neurons)
        self.readout = np.zeros((config.neurons, 0))  # one column per class
        self.class_frames = np.zeros(0, int)
        self.generator = np.array([config.seed], np.uint64)
        self.closest = math.inf

    def learn(
        self, sample, timesteps: int, label: int | None = None, margin: float = math.inf
    ) -> Outcome:
        encoded = encode(self.config, sample, timesteps, self.generator)
        known = len(self.class_frames)
        if label is not None and label >= known and not encoded.black:
            self.class_frames = np.pad(self.class_frames, (0, label + 1 - known))
            self.readout = np.pad(self.readout, ((0, 0), (0, label + 1 - known)))
        self.closest = min(self.closest, encoded.closest)
        outcome = self._present(encoded, timesteps, True, label, margin)
        return outcome._replace(scores=outcome.scores[:known])

    def infer(self, sample, timesteps: int, margin: float = math.inf) -> Outcome:
        generator = self.generator.copy()
        if self.config.coding == 'rate_bernoulli' and not isinstance(sample, SpikeTrain):
            seed_from(generator, self.generator[0], sample.astype(np.float32))
        encoded = encode(self.config, sample, timesteps, generator)
        self.closest = min(self.closest, encoded.closest)
        return self._present(encoded, timesteps, False, None, margin)

    def _judged(self, scores, taken_out: int | None) -> tuple[int | None, float]:
        """The class with most evidence and its log-odds, as if one class were not there."""
        others = [c for c in range(len(scores)) if c != taken_out]
        best = max(others, key=lambda c: scores[c], default=None)
        if best is None or not scores[best]:
            return None, math.nan
        if sum(self.class_frames[c] > 0 for c in others) == 1:
            return best, 0.0
        rest = sum(scores[c] for c in others if c != best)
        return best, math.log(scores[best] / max(rest, 1e-30))

    def _compare(self, distance: float, resolution: float) -> None:
        self.closest = min(self.closest, distance / resolution)

    def _strongest(self, evidence: np.ndarray) -> int | None:
        """The class with most evidence, the first of equals; None without evidence."""
        if not evidence.any():
            return None
        best, lead = int(np.argmax(evidence)), lead_of(evidence)
        if lead > 0:
            self._compare(lead / evidence[best], EVIDENCE)
        return best

    def _leads(self, evidence: np.ndarray, margin: float) -> bool:
        """Whether the strongest class leads by the margin."""
        if margin < math.inf:
            self._compare(abs(lead_of(evidence) / margin - 1), EVIDENCE)
        return lead_of(evidence) >= margin


def lead_of(evidence: np.ndarray) -> float:
    """How far the strongest class is ahead of the second."""
    second, first = sorted([0.0, 0.0, *evidence])[-2:]
    return first - second


class Recruiting(Reference):
    """The recruiting rule. `readout` holds the counts of labels."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.readout_weights = np.zeros((config.neurons, 0))  # one column per class
        self.fast_readout_weights = np.zeros((config.neurons, 0))
        self.readout_updates = np.zeros(config.neurons, int)
        self.attractions = np.zeros(config.neurons, int)
        self.recruited = self.frames = 0
        self.gram = np.zeros((config.neurons, config.neurons))  # cosines, as estimated
        self.mean = self.variance = 0.0  # of the winner's match
        self.error_rate = 1.0
        self.last_label = None
        self.alternation = 0.0  # share of labels that differ from the one before
        self.merged = 0

    def _present(self, encoded, timesteps, learning, label, margin):
        new = ((0, 0), (0, len(self.class_frames) - self.readout_weights.shape[1]))
        self.readout_weights = np.pad(self.readout_weights, new)
        self.fast_readout_weights = np.pad(self.fast_readout_weights, new)
        m = self.recruited
        v, n = np.zeros(m), np.zeros(self.config.inputs)
        order, current = [], np.zeros(0)
        evidence = scores = np.zeros(len(self.class_frames))
        for t in range(timesteps):
            v += self.weights[:m] @ encoded.charge[t]
            n += encoded.charge[t]
            # The threshold falls at the end; to end early, after every second step.
            is_due = t + 1 == timesteps or (margin < math.inf and t % 2 == 1)
            if is_due and n.any():
                order, current = self._spike_in_order(v / np.linalg.norm(n))
                evidence, scores = self._read_out(order, current)
                if self._leads(scores, margin):
                    break
        predicted = self._strongest(scores)
        best, log_odds = self._judged(scores, label if learning else None)
        novelty = math.nan
        for j in order:
            if best is not None and self._strongest(self.readout[j]) == best:
                novelty = 1 - v[j] / np.linalg.norm(n)
                break
        raster = [(t, int(j)) for j in order]
        changed = 0
        if learning:
            if encoded.generators:  # steps after an early end are never drawn
                self.generator[0] = encoded.generators[t // 64]
            if n.any():
                trace = n if encoded.trace is None else encoded.trace
                unit = trace / np.linalg.norm(trace)
                match = v / np.linalg.norm(n)
                if encoded.trace is not None:
                    match = self._matches(match, unit, order)
                changed = self._plasticity(unit, match, order, current, evidence, predicted, label)
        spent = int(encoded.spikes[: t + 1].sum())
        operations = spent * m
        if learning and n.any() and encoded.trace is not None:
            graded = np.count_nonzero(trace)
            spent += graded
            operations += graded * len(order)
        counts = (spent, len(order), operations, m * (t + 1), changed)
        return Outcome(predicted, scores, log_odds, novelty, t + 1, counts, raster)

    def _spike_in_order(self, match):
        """The twelve neurons that the falling threshold meets first, and their currents."""
        if not self.recruited:
            return [], np.zeros(0)
        theta = self.theta[: self.recruited]
        drive = match - theta
        order = np.argsort(-drive, kind='stable')
        for one, following in zip(order[:12], order[1:]):
            if match[one] or match[following] or theta[one] != theta[following]:
                self._compare(drive[one] - drive[following], EVIDENCE)
        falling = drive[order]
        end = falling[12] if len(order) > 12 else min(0.0, falling[-1])
        order, lead = order[:12], falling[:12] - end
        length = np.linalg.norm(lead)
        if drive.any() and len(order) > 1 and self.readout_weights.any():
            self._compare(length, CURRENT)
        return order, lead / length if length > 0 else np.full(len(order), len(order) ** -0.5)

    def _read_out(self, order, current):
        evidence = np.zeros(len(self.class_frames))
        speaking = [j for j in order if self.readout[j].any()]
        for omega, j in zip((1.0, 0.45, 0.2), speaking):
            evidence += omega / 1.65 * self.readout[j] / (self.readout[j].sum() + 2)
        if not speaking:
            return evidence, np.zeros(len(evidence))
        return evidence, self._scores(evidence, current @ self.readout_weights[order])

    def _scores(self, evidence, correction):
        scores = np.exp(4 * (evidence + correction))
        scores[self.class_frames == 0] = 0
        return scores / scores.sum()

    def _matches(self, spiking, unit, order):
        """Cosines with the traces: computed for those that spiked, others off by one factor."""
        exact, known = self.weights[order] @ unit, spiking[order].sum()
        match = np.minimum(spiking * exact.sum() / known if known else spiking, 1)
        match[order] = exact
        return match

    def _winner(self, match, order):
        """Of those that spiked, the one furthest above its threshold."""
        if not len(order):
            return None
        drive = match[order] - self.theta[order]
        best = int(np.argmax(drive))
        second = np.delete(drive, best).max(initial=-math.inf)
        if drive.any():
            self._compare(drive[best] - second, EVIDENCE)
        return int(order[best])

    def _plasticity(self, unit, match, order, current, evidence, predicted, label):
        """Returns the number of weights changed."""
        m, neurons = self.recruited, self.config.neurons
        first = self._winner(match, order)
        guided = self.config.supervised and label is not None
        changed, rewritten = 0, len(unit) + m
        if label is not None:
            self.class_frames[label] += 1
            changed = self._correct(order, current, evidence, label)
        novel = self._is_novel(first, match, guided)
        self.frames += 1
        wrong = False
        if guided:
            wrong = predicted != label or self._strongest(self.readout[first]) != label
            self.error_rate += ((predicted != label) - self.error_rate) / 30

        imprinted = None
        if m < neurons and (wrong or novel):
            imprinted = m
        elif m == neurons and (wrong or (novel and not guided)):
            imprinted = self._make_room(label if guided else None, match)
            changed += 0 if imprinted is None else rewritten
        if imprinted is not None:
            parent = self._right(match, label, None) if guided else first
            self._imprint(imprinted, parent, unit, match, label, evidence)
            changed += rewritten
        else:
            right = self._right(match, label, first) if wrong else first
            self._attract(right, unit, match)
            changed += rewritten
            if right != first:
                self.readout[right, label] += 1
                self._move(first, unit, match, -0.04)
                changed += rewritten
            self.theta[first] += 0 if guided else 1e-3
        if label is not None and first is not None and first != imprinted:
            self.readout[first, label] += 1
        return changed

    def _correct(self, order, current, evidence, label):
        """The delta rule and its running mean; returns the number of weights changed."""
        rate = 0.4 * self.alternation
        differs = self.last_label is not None and label != self.last_label
        self.alternation += 0.01 * (differs - self.alternation)
        self.last_label = label
        if rate == 0 or not evidence.any():
            return 0
        seen = self.class_frames > 0
        scores = self._scores(evidence, current @ self.fast_readout_weights[order])
        error = np.where(seen, (np.arange(len(scores)) == label) - scores, 0)
        self.fast_readout_weights[order] += rate * np.outer(current, error)
        self.readout_updates[order] += 1
        share = np.maximum(2 / (2 + self.readout_updates[order]), 0.01)[:, np.newaxis]
        self.readout_weights[order] += share * np.where(
            seen, self.fast_readout_weights[order] - self.readout_weights[order], 0
        )
        return 2 * len(order) * int(seen.sum())

    def _is_novel(self, first, match, guided):
        """Whether the winner matches unusually badly; keeps what is usual up to date."""
        novel = self.frames < 10
        if first is None:
            return True
        full = self.recruited == self.config.neurons
        high, low = (1, -2) if guided else (3, 0)
        z = high + (low - high) * self.recruited / self.config.neurons
        if full and not guided:
            z = -2 if self.config.supervised else -1.5
        difference = match[first] - self.mean
        if not novel:
            novel = bool(difference < z * math.sqrt(self.variance))
            self._compare(abs(difference - z * math.sqrt(self.variance)), EVIDENCE)
        rate = max(1 / self.frames, 0.005)
        self.mean += rate * difference
        self.variance = (1 - rate) * (self.variance + rate * difference**2)
        return novel

    def _make_room(self, label, match):
        """Merge two neurons of a full pool; the one that is free then, None if none is."""
        eligible = list(range(self.config.neurons))
        if label is not None:
            owner = [self._strongest(votes) for votes in self.readout]
            owned = [owner.count(c) for c in range(len(self.class_frames))]
            chance = uniform(self.generator)
            self._compare(abs(chance - self.error_rate**2), EVIDENCE)
            share = 0.6 * self.config.neurons / (self.class_frames > 0).sum()
            if owned[label] >= share and chance >= self.error_rate**2:
                return None
            eligible = [j for j in eligible if owner[j] in (None, np.argmax(owned))]
        k, gram = self.attractions, self.gram
        costs = {
            (a, b): k[a] * k[b] / (k[a] + k[b]) * (1 - gram[a, b])
            for a in eligible
            for b in eligible
            if b < a
        }
        if not costs:
            return None
        least = sorted([*costs.values(), math.inf])
        self._compare((least[1] - least[0]) / max(1, least[0]), EVIDENCE)
        a, b = min(costs, key=costs.get)
        self._merge(a, b, match)
        self.merged += 1
        return b

    def _merge(self, a, b, match):
        share = self.attractions[a] / (self.attractions[a] + self.attractions[b])
        for mean in (self.weights, self.theta, self.readout_weights, self.fast_readout_weights):
            mean[a] = share * mean[a] + (1 - share) * mean[b]
        norm = np.linalg.norm(self.weights[a])
        self._relate(a, (share * self.gram[a] + (1 - share) * self.gram[b]) / norm)
        match[a] = (share * match[a] + (1 - share) * match[b]) / norm
        for total in (self.readout, self.attractions, self.readout_updates):
            total[a] += total[b]
        self.weights[a] /= norm
        self.readout[b] = 0

    def _right(self, match, label, first):
        """The best match of the class; `first` where it has none."""
        own = [j for j in range(self.recruited) if self._strongest(self.readout[j]) == label]
        if not own:
            return first
        second, best = sorted([0, *match[own]])[-2:]
        if best > 0 and len(own) > 1:
            self._compare(best - second, EVIDENCE)
        return own[np.argmax(match[own])]

    def _imprint(self, j, parent, unit, match, label, evidence):
        self.theta[j] = self.theta[: self.recruited].mean() if self.recruited else 0
        self.recruited = max(self.recruited, j + 1)
        related = np.pad(match, (0, len(self.gram) - len(match)))
        if parent not in (None, j):
            unit = (unit + self.weights[parent]) / 2
            related = (related + self.gram[parent]) / 2
        self.weights[j] = unit / np.linalg.norm(unit)
        self._relate(j, related / np.linalg.norm(unit))
        self.attractions[j] = 1
        for inherited in (self.readout_weights, self.fast_readout_weights):
            inherited[j] = 0 if parent in (None, j) else inherited[parent]
        self.readout_updates[j] = 0
        self.readout[j] = 0.15 * evidence
        if label is not None:
            self.readout[j] = np.arange(len(evidence)) == label

    def _attract(self, j, unit, match):
        step = max(1 / (1 + self.attractions[j]), 0.02)
        self.attractions[j] += 1
        self._move(j, unit, match, step)

    def _move(self, j, unit, match, step):
        moved = self.weights[j] + step * (unit - self.weights[j])
        clipped = np.maximum(moved, 0)
        norm = np.linalg.norm(clipped)
        related = (1 - step) * self.gram[j] + self.weights @ (clipped - moved)
        related[: len(match)] += step * match
        self.weights[j] = clipped / norm
        self._relate(j, related / norm)
        match[j] = ((1 - step) * match[j] + step) / norm

    def _relate(self, j, related):
        """Set a neuron's cosines with all others."""
        self.gram[j] = np.clip(related, 0, 1)
        self.gram[j, j] = 1
        self.gram[:, j] = self.gram[j]


class Stdp(Reference):
    """Leaky integrate-and-fire neurons and the four rules of spike-timing-dependent plasticity.

    The read-out holds the mean share of each class's output spikes.
    """

    def __init__(self, config: NetworkConfig, weights: np.ndarray) -> None:
        super().__init__(config)
        self.weights[:] = weights
        self.learning_rate = np.ones(config.neurons)
        self.gain = 8 * math.sqrt(3) / 2 / 28 / 13
        if config.neuron.inhibition == math.inf:
            self.gain /= 5
        self.window = np.zeros(3)  # samples, output spikes, wanted output spikes

    def _present(self, encoded, timesteps, learning, label, margin):
        self._rest(encoded.expected, timesteps, learning)
        layers = 2 if self.config.neuron.inhibitory_layer else 1
        steps, operations, updates = timesteps, 0, 0
        for t, (charge, spikes) in enumerate(zip(encoded.charge, encoded.spikes)):
            if learning and t % self.window_steps == 0:
                updates += self._close_window()
            self._integrate(charge, t)
            operations += int(spikes) * len(self.v)
            if learning:
                updates += self._after_input(charge, spikes)
            spiking = [] if encoded.black else self._spiking()
            operations += self._reset(spiking, t)
            for j in spiking:
                self.raster.append((t, j))
                if self.readout[j].any():
                    self.evidence += self.readout[j] / self.readout[j].sum()
                if learning:
                    updates += self._after_output_spike(j, label)
            if spiking and self._leads(self.evidence, margin):
                steps = t + 1
                break
        if learning:
            if encoded.generators:  # steps after an early end are never drawn
                self.generator[0] = encoded.generators[(steps - 1) // 64]
            updates += self._close_window()
            if encoded.spikes.any():
                self._after_presentation(steps, timesteps, label)
            self.theta *= math.exp(-steps / self.config.neuron.theta_time_constant)
        scores = self.evidence / max(len(self.raster), 1)
        spent, output = int(encoded.spikes[:steps].sum()), len(self.raster)
        counts = (spent, output, operations, layers * len(self.v) * steps, updates)
        _, log_odds = self._judged(scores, label if learning else None)
        predicted = self._strongest(scores)
        return Outcome(predicted, scores, log_odds, math.nan, steps, counts, self.raster)

    def _rest(self, expected, timesteps, learning):
        """Everything before the first step."""
        neurons, neuron = self.config.neurons, self.config.neuron
        full = timesteps if neuron.enhancement else 350
        most = min(16.0, max(1.5, 0.8 * math.sqrt(neurons)))
        self.wanted = min(max(1.5, min(full / 4, expected / 70)), most)
        self.wanted *= neuron.output_spikes  # K
        unit = self.gain * expected / self.wanted  # g, of thresholds
        if not learning:
            unit /= neuron.inference_spikes
        theta = self.theta if learning else np.full(neurons, self.theta.mean())
        self.unit, self.threshold = unit, unit * (13 + theta)
        self.v, self.current = np.zeros(neurons), np.zeros(neurons)
        self.held_until = np.zeros(neurons, int)
        self.inhibiting = []  # inhibitory neurons that spike in the next step
        self.inhibitory_until = np.zeros(neurons, int)
        self.x = np.zeros(self.config.inputs)
        self.fast, self.slow = np.zeros(neurons), np.zeros(neurons)  # o1, o2
        self.window_steps = max(1, int(full / self.wanted))
        self.closed = 0  # output spikes in the windows before this one
        self.raster = []
        self.evidence = np.zeros(len(self.class_frames))

    def _integrate(self, charge, t):
        neuron = self.config.neuron
        current = self.weights @ charge
        if neuron.synaptic_time_constant > 0:
            decay = math.exp(-1 / neuron.synaptic_time_constant)
            self.current = decay * self.current + current
            current = (1 - decay) * self.current
        self.v = math.exp(-1 / neuron.membrane_time_constant) * self.v + current
        self._inhibit(self.inhibiting)
        self.inhibiting = []
        self._hold(t)

    def _inhibit(self, sources):
        for j in sources:
            others = np.arange(len(self.v)) != j
            self.v[others] -= self.config.neuron.inhibition * 13 * self.unit

    def _hold(self, t):
        """Refractory neurons stay at the reset potential."""
        self.v[t < self.held_until] = self.config.neuron.reset_potential * 13 * self.unit

    def _spiking(self):
        """The neurons that spike in this step."""
        above = self.v - self.threshold
        self._compare(np.abs(above / self.threshold).min(), POTENTIAL)
        spiking = np.flatnonzero(above >= 0).tolist()
        if self.config.neuron.inhibition < math.inf or len(spiking) < 2:
            return spiking
        winner = int(np.argmax(above))
        second = np.delete(above, winner).max()
        self._compare((above[winner] - second) / self.v[winner], POTENTIAL)
        return [winner]

    def _reset(self, spiking, t):
        """What output spikes do to the other neurons; synaptic operations."""
        neuron, others = self.config.neuron, len(self.v) - 1
        rest = neuron.reset_potential * 13 * self.unit
        self.v[spiking] = rest
        if neuron.refractory_period > 0:
            self.held_until[spiking] = t + 1 + neuron.refractory_period
        if neuron.inhibitory_layer:
            self.inhibiting = [j for j in spiking if t + 1 >= self.inhibitory_until[j]]
            self.inhibitory_until[self.inhibiting] = t + 2 + 2  # refractory for two steps
            return len(spiking) + len(self.inhibiting) * others
        if neuron.inhibition < math.inf:
            self._inhibit(spiking)
            self._hold(t)
        elif spiking:
            self.v[:] = rest
        return len(spiking) * others

    def _after_input(self, charge, spikes):
        """Traces; depression of triplets. Returns the number of weights changed."""
        triplet = self.config.rule == 'triplet'
        self.x = math.exp(-1 / (16.8 if triplet else 100)) * self.x + charge
        if not triplet:
            return 0
        self.fast *= math.exp(-1 / 33.7)
        self.slow *= math.exp(-1 / 114)
        step = 0.001 * np.outer(self.fast * self.learning_rate, np.minimum(charge, 1))
        self.weights *= (1 - step) ** np.maximum(charge, 1)
        return int(spikes) * len({j for _, j in self.raster})

    def _after_output_spike(self, j, label):
        """Returns the number of weights changed."""
        self.theta[j] += self.config.neuron.theta_step / self.wanted
        self.threshold = self.unit * (13 + self.theta)
        eta = min(0.5, 0.8 / self.wanted) * self.learning_rate[j]
        if self.config.rule == 'adaptive':
            return 0
        if self.config.rule == 'triplet':
            step = 0.01 * self.x * (1 + self.slow[j]) * self.learning_rate[j]
            self.weights[j] += np.minimum(step, 1) * (1 - self.weights[j])
            self.fast[j] += 1
            self.slow[j] += 1
        elif self.config.rule == 'modulated' and self._is_punished(j, label):
            self._approach_trace(j, -0.3 * eta)
        else:
            self._approach_trace(j, eta)
        self._tire(j)
        return len(self.x)

    def _is_punished(self, j, label):
        return label is not None and self._strongest(self.readout[j]) not in (None, label)

    def _approach_trace(self, j, step):
        w, direction = self.weights[j], self.x / np.linalg.norm(self.x)
        moved = np.maximum(w + step * (8 * direction - w), 0)
        self.weights[j] = 8 * moved / np.linalg.norm(moved)

    def _tire(self, j):
        self.learning_rate[j] = max(0.02, self.learning_rate[j] * 0.5 ** (1 / 12 / self.wanted))

    def _close_window(self):
        """The end of a window under the adaptive rule; the number of weights changed."""
        if self.config.rule != 'adaptive' or len(self.raster) == self.closed:
            return 0
        self.closed = len(self.raster)
        neurons = [j for _, j in self.raster]
        leader = max(neurons, key=neurons.count)  # the first of equals
        factor = math.ceil(neurons.count(leader) / (self.wanted / 2))
        eta = min(0.5, 0.8 / self.wanted) * self.learning_rate[leader]
        self._approach_trace(leader, min(1.0, factor * eta))
        self._tire(leader)
        return len(self.x)

    def _after_presentation(self, steps, timesteps, label):
        """Homeostasis of weights, read-out, control of the gain, after `steps` of `timesteps`."""
        if self.config.rule == 'adaptive':
            self.weights *= math.exp(-steps / 350 * 1e-4)
        else:
            self.weights *= 8 / np.linalg.norm(self.weights, axis=1, keepdims=True)
        if label is not None and self.raster:
            self.class_frames[label] += 1
            output = np.bincount([j for _, j in self.raster], minlength=len(self.v))
            rate = max(1 / self.class_frames[label], 0.01)
            response = self.readout[:, label]
            response += rate * (output / len(self.raster) - response)
        if not self.config.neuron.enhancement:
            return
        self.window += 1, len(self.raster), self.wanted * steps / timesteps
        if self.window[0] == 250:
            _, spiked, wanted = self.window / 250
            self.gain *= min(max((spiked + 0.05) / wanted, 0.5), 2.0) ** 0.5
            self.window[:] = 0
