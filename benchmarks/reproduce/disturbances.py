"""What a robot's camera adds: position, rotation, noise, contrast, clutter, another background."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from topspark_ros.engine import create_network
from topspark_ros.methodology.experiments import measure
from topspark_ros.streams.objects import centre_object
from topspark_ros.streams.scenes import camera_views

from .common import Plan, Runner, Section, load, spread
from .learning import TIMESTEPS, recruiting

SAMPLES = 1200
SHIFTS = (0, 2, 4)  # pixels
CHANGE_WINDOWS = (0, 100, 200)  # frames after the background has changed

Frame = np.ndarray  # (height, width, 3) uint8
Disturbance = Callable[[Frame, np.random.Generator], Frame]


def noise(deviation: float) -> Disturbance:
    """Of the sensor, grey levels."""
    return lambda frame, rng: np.clip(frame + rng.normal(0, deviation, frame.shape), 0, 255).astype(
        np.uint8
    )


def contrast(share: float) -> Disturbance:
    """Share of the contrast that is left."""
    return lambda frame, rng: np.clip(frame.mean() + share * (frame - frame.mean()), 0, 255).astype(
        np.uint8
    )


def clutter(count: int) -> Disturbance:
    """Dark discs anywhere, a tenth of the frame's height in diameter."""

    def draw(frame: Frame, rng: np.random.Generator) -> Frame:
        frame = frame.copy()
        height, width = frame.shape[:2]
        for _ in range(count):
            centre = int(rng.integers(width)), int(rng.integers(height))
            cv2.circle(frame, centre, height // 20, (60, 60, 60), cv2.FILLED, cv2.LINE_AA)
        return frame

    return draw


def rotation(degrees: float) -> Disturbance:
    """Of the camera, up to so far either way."""

    def turn(frame: Frame, rng: np.random.Generator) -> Frame:
        height, width = frame.shape[:2]
        turned = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-degrees, degrees), 1)
        return cv2.warpAffine(frame, turned, (width, height), borderMode=cv2.BORDER_REPLICATE)

    return turn


def blackboard(frame: Frame, rng: np.random.Generator) -> Frame:
    """The same drawn in chalk on a board that is dark and not evenly so."""
    height, width = frame.shape[:2]
    shade = 0.75 + 0.25 * np.sin(np.linspace(0, np.pi, width)).reshape(1, width, 1)
    return ((255 - frame) * shade).astype(np.uint8)


DISTURBANCES: dict[str, Disturbance] = {
    'none': lambda frame, rng: frame,
    'noise, 15 grey levels': noise(15),
    'noise, 30 grey levels': noise(30),
    'contrast halved': contrast(0.5),
    'contrast a quarter': contrast(0.25),
    'clutter, 1 disc': clutter(1),
    'clutter, 3 discs': clutter(3),
    'camera rotated, up to 10 degrees': rotation(10),
    'camera rotated, up to 25 degrees': rotation(25),
    'chalk on a blackboard': blackboard,
}


def views(pixels: np.ndarray, disturbance: Disturbance, seed: int) -> np.ndarray:
    """Images, (samples, 784) uint8, seen by a camera, found and centred: (samples, 784)."""
    rng = np.random.default_rng(seed)
    return camera_views(pixels.reshape(-1, 28, 28), seed, lambda frame: disturbance(frame, rng))


def disturbed_accuracies(plan: Plan, name: str, seed: int) -> dict[str, float]:
    """A network that learned undisturbed camera frames, tested on disturbed ones."""
    data = load(name, plan.samples)
    order = np.random.default_rng(seed).permutation(len(data.training_labels))[:SAMPLES]
    network = create_network(recruiting(data.name, max(plan.neurons), seed=seed))
    timesteps = TIMESTEPS[data.name]
    network.learn_many(
        views(data.training_pixels[order], DISTURBANCES['none'], seed),
        timesteps,
        data.training_labels[order],
    )
    labels = data.test_labels[: plan.views]
    return {
        name: measure(
            network,
            views(data.test_pixels[: plan.views], disturbance, seed + 1000),
            labels,
            timesteps,
        ).accuracy
        for name, disturbance in DISTURBANCES.items()
    }


def shifted_accuracies(plan: Plan, name: str, seed: int) -> dict[str, float]:
    """Images shifted in the grid at random, as they are and after centring."""
    data = load(name, plan.samples)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.training_labels))[:SAMPLES]
    timesteps = TIMESTEPS[data.name]
    accuracies = {}
    for shift in SHIFTS:
        train, test = (
            shifted(pixels, shift, rng)
            for pixels in (data.training_pixels[order], data.test_pixels[: plan.views])
        )
        for name, prepare in (('raw', lambda pixels: pixels), ('centred', centred)):
            network = create_network(recruiting(data.name, max(plan.neurons), seed=seed))
            network.learn_many(prepare(train), timesteps, data.training_labels[order])
            accuracies[f'shifted by up to {shift} pixels, {name}'] = measure(
                network, prepare(test), data.test_labels[: plan.views], timesteps
            ).accuracy
    return accuracies


def shifted(pixels: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Images on a grid with a margin for the shift, scaled back to 28 x 28."""
    canvas = np.zeros((len(pixels), 28 + 2 * max(SHIFTS), 28 + 2 * max(SHIFTS)), np.uint8)
    for index, image in enumerate(pixels.reshape(-1, 28, 28)):
        top, left = max(SHIFTS) + rng.integers(-most, most + 1, size=2)
        canvas[index, top : top + 28, left : left + 28] = image
    return np.stack(
        [cv2.resize(each, (28, 28), interpolation=cv2.INTER_AREA).reshape(-1) for each in canvas]
    )


def centred(pixels: np.ndarray) -> np.ndarray:
    return np.stack([centre_object(each.reshape(28, 28)) for each in pixels])


def change_midway(plan: Plan, name: str, seed: int) -> dict[str, float]:
    """Prequential accuracy while the paper becomes a blackboard halfway."""
    data = load(name, plan.samples)
    order = np.random.default_rng(seed).permutation(len(data.training_labels))[:SAMPLES]
    half = len(order) // 2
    seen = np.concatenate(
        [
            views(data.training_pixels[order[:half]], DISTURBANCES['none'], seed),
            views(data.training_pixels[order[half:]], blackboard, seed),
        ]
    )
    labels = data.training_labels[order]
    network = create_network(recruiting(data.name, max(plan.neurons), seed=seed))
    right = network.learn_many(seen, TIMESTEPS[data.name], labels).predicted == labels
    figures = {'background changes: 100 frames before': right[half - 100 : half].mean()}
    for start in CHANGE_WINDOWS:
        part = right[half + start : half + start + 100]
        figures[f'background changes: frames {start + 1}-{start + 100} after'] = part.mean()
    return figures


def run(plan: Plan, runner: Runner) -> Section:
    name = plan.datasets[0]
    rows = []
    for part in (disturbed_accuracies, shifted_accuracies, change_midway):
        of_seeds = runner.results(part, [(plan, name, seed) for seed in plan.small_seeds])
        rows += [
            {'what': what, 'accuracy': spread([each[what] for each in of_seeds])}
            for what in of_seeds[0]
        ]
    return Section(
        f'What a camera adds, {name}',
        f'Rendered camera frames (paper, changing light, position and size of the object), found '
        f'and centred by the stream stage; N = {max(plan.neurons)}, {SAMPLES} frames learned '
        f'without a disturbance, {plan.views} tested with one. Shifts are in the grid itself.',
        [],
        rows,
    )
