import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from keras_simsiam.models.pytorch import torch_names
from keras_simsiam.models.pytorch.torch_names import Architecture


def shapes_of(architecture):
    """The shapes of a checkpoint without its classifier."""
    shapes = {}
    for convolution, norm, kernel in torch_names.layers(architecture):
        shapes[f"{convolution}.weight"] = kernel
        shapes |= {f"{norm}.{weight}": (kernel[0],) for weight in torch_names.NORM}
        shapes[f"{norm}.num_batches_tracked"] = ()
    return shapes


RESNET18, RESNET34, RESNET50 = (Architecture(name, "imagenet", 64) for name in ("resnet18", "resnet34", "resnet50"))


@pytest.mark.parametrize(
    "architecture, count, parameters",
    [(RESNET18, 20, 11_176_512), (RESNET34, 36, 21_284_672), (RESNET50, 53, 23_508_032)],
)
def test_layers_are_torchvisions(architecture, count, parameters):
    """torchvision's parameter counts without the classifier: 11,689,512 and 21,797,672 − 513,000, 25,557,032 − 2,049,000."""
    layers = torch_names.layers(architecture)
    assert len(layers) == count
    assert sum(np.prod(kernel) + 2 * kernel[0] for _, _, kernel in layers) == parameters


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50"])
@pytest.mark.parametrize("stem, width", [("imagenet", 64), ("cifar", 8)])
def test_recognises_what_it_names(backbone, stem, width):
    architecture = Architecture(backbone, stem, width)
    shapes = shapes_of(architecture)
    assert torch_names.recognise(shapes) == architecture
    heads = {"fc.0.weight": (9, 9), "fc.1.num_batches_tracked": (), "projection.bias": (9,)}
    assert torch_names.check(shapes | heads, architecture) == ["fc.0.weight", "projection.bias"]


@pytest.mark.parametrize(
    "prefixes, wanted, found",
    [
        ([""], None, ""),
        (["module.encoder."], None, "module.encoder."),
        (["convnet."], None, "convnet."),
        (["state_dict.module.encoder_q.", "state_dict.module.encoder_k."], None, "state_dict.module.encoder_q."),
        (["encoder_q.", "encoder_k."], "encoder_k", "encoder_k."),
        (["module.base_encoder.", "module.momentum_encoder."], None, "module.base_encoder."),
        (["online.", "target."], "target.", "target."),
        (["", "ema."], "", ""),
    ],
)
def test_finds_the_network(prefixes, wanted, found):
    names = {f"{prefix}{name}" for prefix in prefixes for name in shapes_of(RESNET18)} | {"module.predictor.0.weight"}
    assert torch_names.find_prefix(names, wanted) == found


def test_finds_a_vit():
    names = {f"teacher.backbone.{name}" for name in ("cls_token", "blocks.0.attn.qkv.weight", "norm.weight")}
    assert torch_names.find_prefix(names | {"teacher.head.mlp.0.weight"}) == "teacher.backbone."
    both = names | {name.replace("teacher", "student") for name in names}
    with pytest.raises(UserError, match=r"several networks: choose `prefix=student\.backbone\.`, `prefix=teacher\."):
        torch_names.find_prefix(both)
    assert torch_names.find_prefix(both, "teacher.backbone") == "teacher.backbone."


def test_asks_where_it_cannot_know():
    names = {f"{prefix}{name}" for prefix in ("online.", "target.") for name in shapes_of(RESNET18)}
    with pytest.raises(UserError, match=r"several networks: choose `prefix=online\.`, `prefix=target\.`"):
        torch_names.find_prefix(names)
    with pytest.raises(UserError, match=r"no network of that prefix: there is `prefix=online\.`, `prefix=target\.`"):
        torch_names.find_prefix(names, "teacher")
    for others in ({"conv1.weight", "layers.0.weight"}, {"cls_token", "patch_embed.proj.weight"}, set()):
        with pytest.raises(UserError, match="no ResNet with the names of torchvision"):
            torch_names.find_prefix(others)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"conv1.weight": (64, 4, 7, 7)}, r"conv1.weight has shape \[64, 4, 7, 7\]"),
        ({"conv1.weight": (64, 3, 5, 5)}, r"only \[N,3,7,7\] and \[N,3,3,3\]"),
        ({"conv1.weight": (64,)}, r"conv1.weight has shape \[64\]"),
        (
            {"layer4.2.conv1.weight": (512, 512, 3, 3)},
            r"a ResNet of 2\+2\+2\+3 blocks of two convolutions: only resnet18, resnet34, resnet50",
        ),
        ({"layer1.0.conv3.weight": (256, 64, 1, 1)}, r"2\+2\+2\+2 bottlenecks"),
    ],
)
def test_refuses_another_network(change, message):
    with pytest.raises(UserError, match=message):
        torch_names.recognise(shapes_of(RESNET18) | change)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"bn1.running_var": None}, "of a resnet18 of width 64 there is no bn1.running_var:"),
        ({"bn1.bias": None, "layer2.0.downsample.0.weight": None}, "no bn1.bias, layer2.0.downsample.0.weight:"),
        ({f"layer{stage}.1.bn2.weight": None for stage in (1, 2, 3, 4)}, r"layer3.1.bn2.weight and 1 more:"),
        ({"layer3.0.conv2.weight": (256, 128, 3, 3)}, r"conv2.weight \[256, 128, 3, 3\], not \[256, 256, 3, 3\]:"),
        ({"bn1.weight": ()}, r"of another shape bn1.weight \[\], not \[64\]:"),
        ({"conv1.bias": (64,)}, "a resnet18 of width 64 has no conv1.bias:"),
        ({"layer1.0.se.fc1.weight": (4, 64)}, "has no layer1.0.se.fc1.weight:"),
        ({"layer5.0.conv1.weight": (4, 64, 3, 3)}, "has no layer5.0.conv1.weight:"),
    ],
)
def test_refuses_weights_that_do_not_fit(change, message):
    shapes = {name: shape for name, shape in (shapes_of(RESNET18) | change).items() if shape is not None}
    with pytest.raises(UserError, match=message) as refused:
        torch_names.check(shapes, RESNET18)
    assert "\n" not in str(refused.value)
