"""What a meter sees of perception, by what it is drawn for.

The network is a small part of what a meter sees. Most is drawn whatever T is: without any frame, by
each frame that is received, by each that is classified. How much of it a lower T, fewer learned
frames or fewer frames save is learned from what was measured at the settings that were used.
"""

from __future__ import annotations

import numpy as np

from topspark_ros.methodology.profile import Profile
from topspark_ros.methodology.tradeoff import Candidates

from .correction import SplitEnergy

# Parts of what is measured: time, frames, and the network's time for them by the profile.
_STANDING, _RECEIVED, _CLASSIFIED, _LEARNED, _INFERENCE, _TRAINING = range(6)
# Processor time that is usual: s a second, and s a frame of a VGA camera.
_USUAL_S = np.array([5e-3, 0.3e-3, 1.5e-3, 0.1e-3])
# Of a classified frame's time, without the network's, for each further object in it.
_FURTHER = 0.15
_NETWORK = 0.1  # of a frame's time, by which the network's may be off
_EDGE = 0.5  # of a frame, of which a report may count what was drawn and not the frame
_LEAST_J = 1e-12  # of a frame: one that seems to take less is not known yet
MAX_RATIO = 1e4  # of measured energies over usual ones: other parts of the machine draw power too


class MeteredEnergy:
    """Energy of each setting as a meter sees it, J.

    Parameters
    ----------
    core_power_w
        Power of a busy core, W: until something is measured, energies are processor times it.
    """

    def __init__(self, profile: Profile, core_power_w: float) -> None:
        self._inference_s = {point.timesteps: point.inference.latency_s for point in profile.points}
        self._training_s = {point.timesteps: point.training.latency_s for point in profile.points}
        largest_s = max(*self._inference_s.values(), *self._training_s.values())
        usual = np.append(_USUAL_S, (1.0, 1.0))
        # The network's may be off by all that the profile says, and so may be what is around it.
        off = np.append(
            _USUAL_S * (1.0 + largest_s / _USUAL_S[_CLASSIFIED]),
            np.full(2, 1.0 + _NETWORK * _USUAL_S[_CLASSIFIED] / max(largest_s, 1e-9)),
        )
        self._split = SplitEnergy(
            core_power_w * usual,
            core_power_w**2 * (np.outer(usual, usual) + np.diag(off**2)),
            MAX_RATIO,
        )

    def measure(
        self,
        setting: tuple[int, int, float, float],
        received: int,
        classified: int,
        learned: int,
        further: int,
        energy_j: float,
        elapsed_s: float,
    ) -> None:
        """Take what was measured while a setting was in force.

        setting: as Decision.setting; ignored with a T that the profile does not have.
        received, classified, learned: frames. further: objects that were classified besides.
        energy_j: of that time, J.
        elapsed_s: the time, s, above 0.
        """
        training, inference = setting[:2]
        if inference not in self._inference_s or learned and training not in self._training_s:
            return
        inference_s, training_s = self._inference_s[inference], self._training_s.get(training, 0.0)
        counts = np.array(
            [
                elapsed_s,
                received,
                classified + _FURTHER * further,
                learned,
                (classified + further) * inference_s,
                learned * training_s,
            ]
        )
        # A frame may be in work at the moment of a report.
        edge = np.minimum(counts, _EDGE * np.array([0, 1, 1, 1, inference_s, training_s]))
        self._split.measure(counts, edge, energy_j, elapsed_s)

    @property
    def standing_w(self) -> float:
        """Power without any frame, W."""
        return float(self._split.energies_j[_STANDING])

    def frame_j(self, candidates: Candidates, objects: float) -> np.ndarray:
        """Energy of a processed frame with so many objects, with those that are received and
        skipped for each, J, shape (len(candidates),), float64, above 0. With a frame share of 0
        none is received."""
        learned = candidates.learned_share * candidates.learning_share
        counts = np.zeros((len(candidates), len(self._split.energies_j)))
        counts[:, _RECEIVED] = 1.0 / np.where(
            candidates.frame_share > 0.0, candidates.frame_share, 1.0
        )
        counts[:, _CLASSIFIED], counts[:, _LEARNED] = 1.0 + _FURTHER * (objects - 1.0), learned
        counts[:, _INFERENCE] = objects * candidates.latency_s
        counts[:, _TRAINING] = learned * candidates.training_s
        return np.maximum(counts @ self._split.energies_j, _LEAST_J)
