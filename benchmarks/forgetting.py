"""What other classes lose when one is forgotten, for every kind of network.

    python -m benchmarks.forgetting

A network learns all ten classes of MNIST in one pass at T = 4. Then one class is forgotten, each of
the ten in turn, and the test pictures of the other nine are classified, before and after. Prints,
over the ten: accuracy on the other nine before and after, and the worst loss of one; and after the
forgotten class was taught again with the same pictures, the accuracy on all ten. One seed: nothing
is chosen here. Needs TOPSPARK_DATA.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from topspark_ros.engine import (
    AnyConfig,
    DiscriminantConfig,
    EncodedConfig,
    NetworkConfig,
    NeuronConfig,
    create_network,
)
from topspark_ros.streams.datasets import load_dataset

TIMESTEPS = 4
CLASSES = 10
NETWORKS: dict[str, AnyConfig] = {
    'recruiting, 400 neurons': NetworkConfig(neurons=400),
    'recruiting, 100 neurons': NetworkConfig(neurons=100),
    'pairwise STDP, 400 neurons': NetworkConfig(
        neurons=400, rule='pairwise', neuron=NeuronConfig(inference_spikes=8.0)
    ),
    'discriminant, 28 x 28': DiscriminantConfig(28, channels=1),
    'discriminant on given features (pixels)': EncodedConfig(inputs=784, encoder='pixels'),
}


def row(name: str, config: AnyConfig) -> str:
    train, test = (load_dataset('mnist', part) for part in ('train', 'test'))
    pixels = train.images.reshape(len(train.images), -1)
    shown = test.images.reshape(len(test.images), -1)
    network: Any = create_network(config)
    network.learn_many(pixels, TIMESTEPS, train.labels)
    state = network.state()
    right = network.infer_many(shown, TIMESTEPS).predicted == test.labels
    before, after, again = [], [], []
    for forgotten in range(CLASSES):
        network.restore(state)
        network.forget_class(forgotten)
        others = test.labels != forgotten
        before.append(100 * right[others].mean())
        labels = without(forgotten, test.labels)
        predicted = network.infer_many(shown, TIMESTEPS).predicted
        assert predicted.max() < CLASSES - 1
        after.append(100 * (predicted == labels)[others].mean())
        once_more = train.labels == forgotten
        network.learn_many(pixels[once_more], TIMESTEPS, np.full(once_more.sum(), CLASSES - 1))
        again.append(100 * (network.infer_many(shown, TIMESTEPS).predicted == labels).mean())
    loss = max(one - other for one, other in zip(before, after))
    return (
        f'| {name} | {np.mean(before):.1f} % | {np.mean(after):.1f} % | {loss:.1f} | '
        f'{100 * right.mean():.1f} % | {np.mean(again):.1f} % |'
    )


def without(forgotten: int, labels: np.ndarray) -> np.ndarray:
    """Indices of classes once one was forgotten, which is taught again as the last."""
    return np.where(labels == forgotten, CLASSES - 1, labels - (labels > forgotten))


if __name__ == '__main__':
    print('| network | others, before | after | worst loss, points | all, before | taught again |')
    print('|---|---|---|---|---|---|')
    for name, config in NETWORKS.items():
        print(row(name, config), flush=True)
