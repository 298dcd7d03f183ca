"""Writes the checkpoints of tests/export/test_import_torch.py and what PyTorch computes with them. Not run by any test.

python tests/golden/torch_resnets.py tests/golden    (with torch 2.14.1, torchvision 0.29.1 and safetensors 0.8.0)

torchvision's own blocks with a few channels instead of 64, weights and BatchNorm statistics at random:

torch_simsiam.pth       a ResNet-50 within a training checkpoint of SimSiam, as FAIR's main_simsiam.py saves it
torch_cifar.safetensors a ResNet-18 with CIFAR's stem, names without a prefix
torch_types.pth         tensors of several types and layouts
torch_legacy.pth        the same in the format before PyTorch 1.6
torch_resnets.npz       the images, uint8 [N,S,S,3], and each network's stage maps, [N,h,w,C], and pooled features
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.transforms.functional import normalize

TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.int16, torch.int32, torch.int64)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Narrow(ResNet):
    """torchvision's ResNet, but for the number of channels of its first stage and CIFAR's stem."""

    def __init__(self, block, layers, width, cifar):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, width, 1, 1, 64
        self.conv1 = nn.Conv2d(3, width, 3 if cifar else 7, 1 if cifar else 2, 1 if cifar else 3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if cifar else nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        for stage, count in enumerate(layers):
            made = self._make_layer(block, width * 2**stage, count, stride=1 if stage == 0 else 2)
            setattr(self, f"layer{stage + 1}", made)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width * block.expansion, 5)

    def features(self, images):
        """The stage maps and the pooled features of normalised images."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        found = {}
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            found[f"c{stage + 1}"] = x.permute(0, 2, 3, 1)
        return found | {"embedding": torch.flatten(self.avgpool(x), 1)}


def randomised(network):
    """The network with BatchNorms near the statistics of noise, so that features depend on the images, and on all weights."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_(0, 0.3)
        norm.momentum = 1.0  # the statistics of the last batch
    network.train()(torch.randn(16, 3, 40, 40))
    for norm in norms:
        norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.7, 1.4))
    return network.eval()


def types():
    """A dict whose tensors hold 0, 1, 2…, so that a test can say what it must read."""
    tensors = {str(dtype).removeprefix("torch."): torch.arange(5).to(dtype) for dtype in TYPES}
    numbers = torch.arange(24.0)
    tensors |= {"scalar": torch.tensor(7.0), "empty": torch.zeros(0, 3), "bool": torch.arange(2).bool()}
    tensors["views"] = {"transposed": numbers.reshape(4, 6).T, "tail": numbers[20:], "every_third": numbers[1::3]}
    tensors["channels_last"] = numbers.reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    return tensors


def main(folder):
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), np.uint8)
    simsiam = randomised(Narrow(Bottleneck, (3, 4, 6, 3), width=2, cifar=False))
    cifar = randomised(Narrow(BasicBlock, (2, 2, 2, 2), width=2, cifar=True))

    recorded = {"images": images}
    inputs = normalize(torch.tensor(images).permute(0, 3, 1, 2) / 255, MEAN, STD)
    with torch.no_grad():
        for name, network in {"simsiam": simsiam, "cifar": cifar}.items():
            recorded |= {f"{name}_{key}": value.numpy() for key, value in network.features(inputs).items()}
    np.savez_compressed(folder / "torch_resnets.npz", **recorded)

    state = {f"module.encoder.{name}": value for name, value in simsiam.state_dict().items()}
    state |= {"module.predictor.0.weight": torch.zeros(4, 5)}
    optimizer = torch.optim.SGD(simsiam.parameters(), 0.05, momentum=0.9)
    checkpoint = {"epoch": 100, "arch": "resnet50", "state_dict": state, "optimizer": optimizer.state_dict()}
    torch.save(checkpoint, folder / "torch_simsiam.pth")
    save_file(cifar.state_dict(), folder / "torch_cifar.safetensors", metadata={"format": "pt"})
    torch.save(types(), folder / "torch_types.pth")
    torch.save(types(), folder / "torch_legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
