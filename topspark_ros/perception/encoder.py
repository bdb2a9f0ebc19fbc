"""A frozen network that sees the camera's frames, and whose features our own network learns on.

It is a file of the user's own, ONNX, run by OpenCV. Its features are made spikes as in networks
that learn on a deep one's features on neuromorphic hardware (CLP-SNN on Loihi 2, arXiv 2511.01553).
"""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys

import cv2
import numpy as np

from topspark_ros.engine import MAX_ENCODED
from topspark_ros.errors import TopsparkError
from topspark_ros.files import FileError, read_bytes
from topspark_ros.methodology.energy import EnergyTable
from topspark_ros.streams.onnx_files import FLOAT32, OnnxError, read_graph

ACCEPTED = 'an ONNX file'
MAX_BYTES = 2**30
SIDES = range(8, 1025)  # of a picture, pixels
# Of red, green and blue, 0 to 1, over the photographs of ImageNet, as networks are trained on them.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
USUAL = 4.0  # times the mean of a picture's features; one as strong spikes at every step
PRODUCTS = 'Gemm', 'InnerProduct', 'MatMul'  # layers that are matrix products
TRIALS = 3
# OpenCV takes the whole process down with some damaged files: another one tries them first.
TRY_OUT = """
import sys
import cv2
import numpy as np
side = int(sys.argv[1])
try:
    network = cv2.dnn.readNetFromONNX(np.frombuffer(sys.stdin.buffer.read(), np.uint8))
    network.setInput(np.zeros((1, 3, side, side), np.float32))
    network.forward()
    network.getLayersShapes((1, 3, side, side))
except cv2.error:
    pass
"""


class EncoderError(TopsparkError):
    """An encoder is rejected: one line with the file, what is wrong and what is accepted."""


class Encoder:
    """A frozen network from pictures to features.

    The file: one input, 1 x 3 x side x side, float32: red, green and blue, less the mean over
    ImageNet and over its standard deviation; the first length may be open. One output, a number
    for each feature, or several at places, 1 x features x rows x columns, whose mean counts.

    A feature x becomes x / (4 mean x), at most 1, as a network of ours takes it: so the scale of
    features does not matter, and nothing has to be learned for that. Where there are features below
    0 each is split in two, one for more than 0 and one for less.

    Parameters
    ----------
    path
        Of the file.

    Attributes
    ----------
    side
        Of the pictures, pixels.
    features
        How many there are, after they are split.
    digest
        Tells this file from others.
    multiply_accumulates
        For one picture, of convolutions and matrix products. Other layers are not counted.

    Raises
    ------
    EncoderError
        Naming the file.
    """

    def __init__(self, path: str) -> None:
        try:
            data = read_bytes(path, MAX_BYTES, ACCEPTED)
            self.side = _picture_side(data)
            _require_no_crash(data, self.side)
            self._net = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
            self._signed, self.features = self._try()
            self.multiply_accumulates = _count(self._net, (1, 3, self.side, self.side))
        except FileError as error:
            raise EncoderError(f'encoder: {error}') from None
        except OnnxError as error:
            raise EncoderError(f'encoder: {path}: {error}, accepted is {ACCEPTED}') from None
        except EncoderError as error:
            raise EncoderError(f'encoder: {path}: {error}') from None
        except cv2.error as error:
            reason = ' '.join((error.err or str(error)).split()).strip('> ')
            raise EncoderError(
                f'encoder: {path}: {reason}, accepted is a network that OpenCV can run'
            ) from None
        self.digest = hashlib.sha256(data).hexdigest()[:16]

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The features of a picture, (features,) float32, 0 to 1; zeros of one that is all 0.

        picture: (side * side * 3,) float32 in 0 to 1, red, green, blue, row by row.
        """
        if not picture.any():
            return np.zeros(self.features, np.float32)
        features = self._run(picture)
        if self._signed:
            features = np.concatenate((features, -features))
        features = np.maximum(features, 0)
        mean = features.mean()
        return np.minimum(features / (USUAL * mean), 1) if mean > 0 else features

    def energy_j(self, table: EnergyTable) -> float:
        """Estimated, of one picture, J."""
        return self.multiply_accumulates * table.multiply_accumulate_j

    def _run(self, picture: np.ndarray) -> np.ndarray:
        """What the network says, (features,) float32."""
        channels = picture.reshape(self.side, self.side, 3)
        normalised = (channels - MEAN) * (1 / DEVIATION)
        self._net.setInput(np.ascontiguousarray(normalised.transpose(2, 0, 1)[np.newaxis]))
        output = self._net.forward()
        if output.ndim not in (2, 4) or output.shape[0] != 1:
            shape = ' x '.join(map(str, output.shape))
            raise EncoderError(
                f'its output is {shape}, accepted is 1 x features, or 1 x features x rows x columns'
            )
        return output.reshape(output.shape[1], -1).mean(axis=1)

    def _try(self) -> tuple[bool, int]:
        """Run it on a few pictures of noise; whether features are split, and how many there are."""
        random = np.random.default_rng(0)
        pictures = random.random((TRIALS, 3 * self.side**2), np.float32)
        features = np.array([self._run(picture) for picture in pictures])
        if not np.isfinite(features).all():
            raise EncoderError('its features are not finite, accepted is a network that works')
        signed = bool((features < 0).any())
        most = MAX_ENCODED // 2 if signed else MAX_ENCODED
        size = features.shape[1]
        if size > most:
            negative = ', some of them below 0,' if signed else ''
            raise EncoderError(f'it has {size} features{negative} accepted is at most {most}')
        return signed, (1 + signed) * size


def _picture_side(data: bytes) -> int:
    """Of the pictures that a file wants, pixels. Raises OnnxError and EncoderError."""
    graph = read_graph(data)
    if graph.external:
        raise EncoderError('its weights are in another file, accepted is all in one')
    for what, number in (('inputs', len(graph.inputs)), ('outputs', graph.outputs)):
        if number != 1:
            raise EncoderError(f'it has {number} {what}, accepted is one')
    (tensor,) = graph.inputs
    shape = ' x '.join('?' if length == 0 else str(length) for length in tensor.shape)
    side = tensor.shape[-1] if len(tensor.shape) == 4 else 0
    if side not in SIDES or tensor.shape not in ((0, 3, side, side), (1, 3, side, side)):
        raise EncoderError(
            f'its input is {shape}, accepted is 1 x 3 x side x side, of {SIDES[0]} to {SIDES[-1]} '
            'a side'
        )
    if tensor.element != FLOAT32:
        raise EncoderError(f'its input is of ONNX type {tensor.element}, accepted is 1: float32')
    return side


def _require_no_crash(data: bytes, side: int) -> None:
    """EncoderError for a file that OpenCV crashes on; what it says is wrong is found out later."""
    command = [sys.executable, '-c', TRY_OUT, str(side)]
    tried = subprocess.run(command, input=data, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if tried.returncode < 0:
        raise EncoderError('OpenCV crashes on it, accepted is a network that it can run')


def _count(net: cv2.dnn.Net, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates for an input of this shape.

    OpenCV's own count takes every convolution for one without groups, and has no matrix products.
    """
    total = 0
    for number, inputs, outputs in zip(*net.getLayersShapes(shape)):
        layer = net.getLayer(int(number))
        if layer.type == 'Convolution':
            # (features, inputs of a group, rows, columns)
            total += math.prod(map(int, outputs[0])) * layer.blobs[0][0].size
        elif layer.type in PRODUCTS:
            total += math.prod(map(int, outputs[0])) * int(inputs[0][-1])
    return total
