"""How strong a camera's noise is and what is left of it, against NumPy and OpenCV."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from topspark_ros.engine.kernels import denoising

from .compiled import compiled

SIDES = (28, 32, 48)
KINDS = (1, 3)  # channels
LEVEL = 1 / 255

noise_of = compiled(denoising.noise_of)
denoise = compiled(denoising.denoise)
quantile = compiled(denoising.quantile)


def reference_noise(picture: np.ndarray) -> float:
    """By the equations, in double precision."""
    picture = picture.astype(float)
    mask = np.array([1, -2, 1]) / np.sqrt(6)

    def rough(plane: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(plane, -1, mask, mask, borderType=cv2.BORDER_REFLECT_101)

    red = picture[..., 0]
    if picture.shape[2] == 1 or (picture == red[..., None]).all():
        n = len(red) // 4
        blocks = (rough(red) ** 2)[: 4 * n, : 4 * n].reshape(n, 4, n, 4).mean(axis=(1, 3))
        return np.sqrt(np.quantile(blocks, 0.25)) / 0.75
    green, blue = picture[..., 1], picture[..., 2]
    one = np.median(np.abs(rough(red - green))) / np.sqrt(2)
    other = np.median(np.abs(rough(blue - (red + green) / 2))) / np.sqrt(1.5)
    return (one + other) / (2 * 0.6745)


def reference_denoised(picture: np.ndarray, deviation: float) -> np.ndarray:
    """By the equations, in double precision; every mean by a blur of its own."""
    given = picture.astype(float)
    if deviation < LEVEL:
        return given
    grey = (given == given[..., :1]).all()

    def mean(plane: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(plane, (7, 7), 1.0, borderType=cv2.BORDER_REFLECT)

    current = given.copy()
    for i in range(2):
        guide = current.mean(axis=2)
        levelled = 2 * (deviation / 2**i) ** 2 / (1 if grey else 3)
        variance = np.maximum(mean(guide**2) - mean(guide) ** 2, 0)
        for c in range(current.shape[2]):
            plane = current[..., c].copy()
            covariance = mean(guide * plane) - mean(guide) * mean(plane)
            a = covariance / (variance + levelled + 1e-7)
            b = mean(plane) - a * mean(guide)
            current[..., c] = mean(a) * guide + mean(b)
    share = deviation**2 / (deviation**2 + 0.02**2)
    return np.clip(given + share * (current - given), 0, 1)


def smooth(side: int, channels: int, seed: int) -> np.ndarray:
    """A random picture without edges, of the middle range."""
    planes = np.random.default_rng(seed).normal(size=(channels, side, side))
    planes = [cv2.GaussianBlur(p, (0, 0), side / 8, borderType=cv2.BORDER_REFLECT) for p in planes]
    picture = np.stack(planes, axis=2)
    low, high = picture.min(axis=(0, 1)), picture.max(axis=(0, 1))
    return (0.35 + 0.3 * (picture - low) / (high - low)).astype(np.float32)


def disc(side: int, channels: int) -> np.ndarray:
    """A bright disc on dark ground, with a hue if it has colour; its edge is of one pixel."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.clip(side / 4 - np.hypot(y, x) + 0.5, 0, 1)[..., None]
    hue = np.array([0.6, 0.45, 0.3][:channels])
    return (0.2 + inside * hue).astype(np.float32)


def noisy(picture: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    """As a camera of eight bits sends it."""
    noise = np.random.default_rng(seed).normal(0, deviation, picture.shape)
    return (np.clip(np.round((picture + noise) * 255), 0, 255) / 255).astype(np.float32)


def denoised(picture: np.ndarray, deviation: float | None = None) -> np.ndarray:
    """A copy; of the noise that it is found to have, unless that is said."""
    memory = denoising.memory_of(len(picture))
    if deviation is None:
        deviation = noise_of(picture, memory)
    result = picture.copy()
    denoise(result, np.float32(deviation), memory)
    return result


def noise(picture: np.ndarray) -> float:
    return noise_of(picture, denoising.memory_of(len(picture)))


def rms(difference: np.ndarray) -> float:
    return float(np.sqrt((difference.astype(float) ** 2).mean()))


@pytest.mark.parametrize('channels', KINDS)
@pytest.mark.parametrize('side', SIDES)
def test_noise_and_filter_are_those_of_the_equations(side, channels):
    for seed, deviation in enumerate((0.0, 3 * LEVEL, 10 * LEVEL, 38 * LEVEL, 80 * LEVEL)):
        for clean in (smooth(side, channels, seed), disc(side, channels)):
            picture = noisy(clean, deviation, seed)
            found = noise(picture)
            assert found == pytest.approx(reference_noise(picture), rel=1e-5, abs=1e-7)
            expected = reference_denoised(picture, found)
            np.testing.assert_allclose(denoised(picture), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('side', SIDES)
def test_the_filter_is_that_of_the_equations_where_there_is_nothing_but_noise(side):
    rng = np.random.default_rng(side)
    for channels in KINDS:
        picture = rng.random((side, side, channels), np.float32)
        for deviation in (0.01, 0.1, 0.5):
            expected = reference_denoised(picture, deviation)
            np.testing.assert_allclose(denoised(picture, deviation), expected, rtol=0, atol=2e-5)


def test_quantiles_are_those_of_numpy():
    rng = np.random.default_rng(0)
    for size in (1, 2, 49, 64, 144, 1024):
        values = rng.random(size, np.float32) ** 8  # of many magnitudes
        few = np.floor(4 * values).astype(np.float32)  # with many equal ones
        for share in (0.0, 0.25, 0.5, 1.0):
            for some in (values, few):
                expected = np.quantile(some.astype(float), share)
                assert quantile(some, share) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('channels', KINDS)
@pytest.mark.parametrize('side', SIDES)
def test_noise_is_found_on_smooth_pictures(side, channels):
    # All of a grey picture that counts, a quarter of 49 or 64 blocks, tells it to 7 % or so: one
    # in a hundred is off by more than 20 %.
    worst, seldom = (0.3, 0.05) if channels == 1 else (0.2, 0)
    for level in (10, 20, 38, 40):
        pictures = [noisy(smooth(side, channels, k), level * LEVEL, 100 + k) for k in range(60)]
        ratios = np.array([noise(picture) for picture in pictures]) / (level * LEVEL)
        assert (abs(ratios - 1) < worst).all()
        assert (abs(ratios - 1) >= 0.2).mean() <= seldom
        assert abs(ratios.mean() - 1) < 0.08


def clean_pictures(side: int, channels: int) -> dict[str, np.ndarray]:
    ramp = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    hue = np.array([1.0, 0.7, 0.4][:channels], np.float32)
    rounded = np.round((0.6 * ramp + 0.3 * ramp.transpose(1, 0, 2)) * hue * 255) / 255
    return {
        'black': np.zeros((side, side, channels), np.float32),
        'flat': np.full((side, side, channels), 0.4, np.float32) * hue,
        'gradient': np.broadcast_to(ramp * hue, (side, side, channels)).copy(),
        'gradient of eight bits': rounded.astype(np.float32),
        'disc': disc(side, channels),
    }


@pytest.mark.parametrize('channels', KINDS)
@pytest.mark.parametrize('side', SIDES)
def test_clean_pictures_stay_to_the_last_bit(side, channels):
    for name, picture in clean_pictures(side, channels).items():
        assert noise(picture) < LEVEL, name
        assert denoised(picture).tobytes() == picture.tobytes(), name


def test_clean_photographs_have_hardly_any_noise():
    folder = Path(os.environ.get('TOPSPARK_DATA', 'unset')) / 'objects' / 'eth80' / 'train'
    if not folder.is_dir():
        pytest.skip('no eth80: set TOPSPARK_DATA')
    untouched = []
    for path in sorted(folder.glob('*/*'))[::20]:
        whole = cv2.imread(str(path))[:, :, ::-1]
        small = cv2.resize(whole, (32, 32), interpolation=cv2.INTER_AREA)
        picture = (small / 255).astype(np.float32)
        found = noise(picture)
        assert found < 2 * LEVEL, path
        same = denoised(picture).tobytes() == picture.tobytes()
        assert same == (found < np.float32(LEVEL)), path
        untouched.append(same)
    assert len(untouched) > 50
    assert np.mean(untouched) > 0.95


@pytest.mark.parametrize('channels', KINDS)
def test_nothing_is_done_below_one_grey_level(channels):
    picture = noisy(smooth(32, channels, 0), 3 * LEVEL, 0)
    below = np.nextafter(np.float32(LEVEL), np.float32(0))
    assert denoised(picture, below).tobytes() == picture.tobytes()
    at_least = np.float32(LEVEL)
    result, expected = denoised(picture, at_least), reference_denoised(picture, at_least)
    assert 0 < rms(expected - picture) < LEVEL
    assert rms(result - expected) < 0.02 * rms(expected - picture)


@pytest.mark.parametrize('channels, factor', [(1, 3.0), (3, 4.0)])
@pytest.mark.parametrize('side', SIDES)
def test_most_of_the_noise_goes(side, channels, factor):
    for seed in range(10):
        clean = smooth(side, channels, seed)
        picture = noisy(clean, 38 * LEVEL, 50 + seed)
        assert rms(picture - clean) > factor * rms(denoised(picture) - clean)


def across_the_edge(picture: np.ndarray) -> float:
    """The step from the ground to the disc: of the two pixels on either side of its edge."""
    side = len(picture)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    beyond = np.hypot(y, x) - side / 4
    inside, outside = (beyond > -2.5) & (beyond < -0.5), (beyond > 0.5) & (beyond < 2.5)
    return float(picture[inside].mean() - picture[outside].mean())


@pytest.mark.parametrize('channels', KINDS)
@pytest.mark.parametrize('side', SIDES)
def test_edges_stay(side, channels):
    clean = disc(side, channels)
    for level, least in ((10, 0.95), (38, 0.74)):
        kept, errors, blurred = [], [], []
        for seed in range(10):
            picture = noisy(clean, level * LEVEL, seed)
            result = denoised(picture)
            kept.append(across_the_edge(result) / across_the_edge(clean))
            errors.append(rms(result - clean))
            gaussians = (cv2.GaussianBlur(picture, (0, 0), s) for s in (0.4, 0.6, 0.8, 1, 1.5, 2))
            blurred.append([rms(some.reshape(clean.shape) - clean) for some in gaussians])
        assert np.mean(kept) > least
        # Closer to the clean picture than any blur would be, which costs the edge or leaves noise.
        assert np.mean(errors) < 0.9 * np.mean(blurred, axis=0).min()


def test_a_grey_camera_of_three_channels_is_one_of_one_channel():
    for seed, level in enumerate((0, 3, 38)):
        grey = noisy(disc(32, 1), level * LEVEL, seed)
        three = np.repeat(grey, 3, axis=2)
        assert noise(three) == noise(grey)
        assert denoised(three).tobytes() == np.repeat(denoised(grey), 3, axis=2).tobytes()
    three[20, 11, 2] += np.float32(LEVEL)  # one pixel with a hue: its noise is not of the colours
    assert noise(three) < LEVEL < noise(grey)


@pytest.mark.parametrize('channels', KINDS)
def test_values_stay_within_full_scale(channels):
    rng = np.random.default_rng(channels)
    black_and_white = rng.integers(0, 2, (32, 32, channels)).astype(np.float32)
    overexposed = noisy(disc(32, channels) + np.float32(0.4), 38 * LEVEL, 0)
    for picture in (black_and_white, overexposed):
        for deviation in (LEVEL, 0.1, 1.0):
            result = denoised(picture, deviation)
            assert result.min() >= 0 and result.max() <= 1
            assert rms(result - picture) > 0


@pytest.mark.parametrize('channels', KINDS)
def test_zeros_stay_zeros(channels):
    black = np.zeros((32, 32, channels), np.float32)
    assert noise(black) == 0
    assert not denoised(black, 38 * LEVEL).any()


def test_nothing_of_one_picture_is_left_for_the_next():
    memory = denoising.memory_of(32)
    for array in (*memory.canvas, *memory[1:]):
        array[:] = np.nan
    for channels in (3, 1, 3):
        picture = noisy(disc(32, channels), 38 * LEVEL, channels)
        before = picture.copy()
        deviation = np.float32(noise_of(picture, memory))
        assert picture.tobytes() == before.tobytes()
        assert deviation == noise(picture)
        denoise(picture, deviation, memory)
        assert picture.tobytes() == denoised(before).tobytes()
