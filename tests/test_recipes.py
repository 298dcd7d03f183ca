"""Recipes: each is a run that the train command accepts, with its paper's settings, and has its row in docs/recipes.md."""

import dataclasses
import pathlib
import re

import pytest

from keras_simsiam.core import settings
from keras_simsiam.training.config import RunConfig

ROOT = pathlib.Path(__file__).parent.parent
# recipes/rgbd.flags is a link to the one at the root, so that the package has it
NAMES = sorted(path.name for path in (ROOT / "recipes").glob("*.flags") if path.name != "rgbd.flags")
RECIPES = ["rgbd.flags", *(f"recipes/{name}" for name in NAMES)]

# as published: method, backbone, batch, epochs, learning rate at that batch, weight decay, predictor's rate, optimizer,
# smallest crop, set of augmentations
PUBLISHED = {
    "rgbd.flags": ("simsiam", "resnet18", 64, 100, 0.0125, 1e-4, "cosine", "sgd", 0.2, "simsiam"),
    "recipes/rgbd_rgb.flags": ("simsiam", "resnet18", 64, 100, 0.0125, 1e-4, "cosine", "sgd", 0.2, "simsiam"),
    "recipes/rgbd_all_transforms.flags": (
        "simsiam",
        "resnet18",
        64,
        100,
        0.0125,
        1e-4,
        "cosine",
        "sgd",
        0.2,
        "simsiam",
    ),
    "recipes/simsiam_imagenet.flags": ("simsiam", "resnet50", 512, 100, 0.1, 1e-4, "fixed", "sgd", 0.2, "mocov2"),
    "recipes/simsiam_cifar10.flags": ("simsiam", "resnet18", 512, 800, 0.06, 5e-4, "cosine", "sgd", 0.2, "simsiam"),
    "recipes/simsiam_cifar10_poster.flags": (
        "simsiam",
        "resnet18",
        512,
        800,
        0.06,
        5e-4,
        "cosine",
        "sgd",
        0.2,
        "simsiam",
    ),
    "recipes/simsiam_cifar10_sololearn.flags": (
        "simsiam",
        "resnet18",
        256,
        1000,
        0.5,
        1e-5,
        "fixed",
        "sgd",
        0.08,
        "simsiam",
    ),
    "recipes/simsiam_cifar10_lightly.flags": (
        "simsiam",
        "resnet18",
        128,
        200,
        0.06,
        5e-4,
        "cosine",
        "sgd",
        0.2,
        "simsiam",
    ),
    "recipes/simclr_imagenet.flags": ("simclr", "resnet50", 4096, 100, 4.8, 1e-6, "cosine", "lars", 0.08, "simclr"),
    "recipes/mocov2_imagenet.flags": ("mocov2", "resnet50", 256, 100, 0.03, 1e-4, "cosine", "sgd", 0.2, "mocov2"),
    "recipes/byol_imagenet.flags": ("byol", "resnet50", 4096, 100, 7.2, 1e-6, "cosine", "lars", 0.08, "byol"),
    "recipes/swav_imagenet.flags": ("swav", "resnet50", 4096, 100, 4.8, 1e-6, "cosine", "lars", 0.08, "swav"),
    "recipes/depth_contrastive.flags": ("simclr", "resnet50", 2048, 600, 2.4, 1e-6, "cosine", "lars", 0.08, "simclr"),
    "recipes/depth_classification.flags": (
        "supervised",
        "resnet50",
        256,
        90,
        0.1,
        1e-4,
        "cosine",
        "sgd",
        0.08,
        "simsiam",
    ),
}


@pytest.fixture(scope="module")
def configurations():
    """What the train command makes of each recipe."""
    lines = "--data_dir=data", "--workdir=run"
    parsed = {recipe: settings.parse(RunConfig, [f"--flagfile={ROOT / recipe}", *lines]) for recipe in RECIPES}
    return {recipe: dataclasses.asdict(config) for recipe, config in parsed.items()}


def test_the_train_command_takes_every_recipe_with_its_papers_settings(configurations):
    for recipe, published in PUBLISHED.items():
        config = configurations[recipe]
        names = "method", "backbone", "batch_size", "epochs"
        others = "weight_decay", "predictor_lr", "optimizer", "min_crop", "augmentations"
        rate = config["base_lr"] * config["batch_size"] / 256
        found = (*(config[name] for name in names), pytest.approx(rate), *(config[name] for name in others))
        assert published == found, recipe


def test_what_sets_the_variants_apart(configurations):
    rgbd, rgb, colour = (
        configurations[name] for name in ("rgbd.flags", "recipes/rgbd_rgb.flags", "recipes/rgbd_all_transforms.flags")
    )
    assert _differing(rgbd, rgb) == {"modality": "rgb"}
    assert _differing(rgbd, colour) == {"hha_color": True}
    paper, poster = (configurations[f"recipes/simsiam_cifar10{name}.flags"] for name in ("", "_poster"))
    assert not _differing(paper, poster)
    stems = {name: config["stem"] for name, config in configurations.items()}
    assert all(stem == ("cifar" if "cifar10" in name else "imagenet") for name, stem in stems.items())


def test_the_views_of_a_recipe_are_its_papers(configurations):
    """Of each view as its paper has them: blur, solarisation, jitter's strength; no jitter where labels are learnt."""
    names = "blur", "solarize", "jitter_strength"
    of = {recipe: tuple(config[name] for name in names) for recipe, config in configurations.items()}
    strong, weak = (0.8, 0.8, 0.8, 0.2), (0.4, 0.4, 0.4, 0.1)
    assert of["recipes/byol_imagenet.flags"] == ((1.0, 0.1), (0.0, 0.2), (0.4, 0.4, 0.2, 0.1))
    assert of["recipes/simclr_imagenet.flags"] == of["recipes/depth_contrastive.flags"] == ((0.5,), (0.0,), strong)
    assert of["recipes/swav_imagenet.flags"] == of["recipes/simclr_imagenet.flags"]
    assert of["recipes/simsiam_imagenet.flags"] == of["recipes/mocov2_imagenet.flags"] == ((0.5,), (0.0,), weak)
    assert of["recipes/simsiam_cifar10_sololearn.flags"] == of["recipes/mocov2_imagenet.flags"]
    assert of["rgbd.flags"] == of["recipes/simsiam_cifar10.flags"] == ((0.0,), (0.0,), weak)
    supervised = configurations["recipes/depth_classification.flags"]
    assert supervised["jitter"] == supervised["grayscale"] == (0.0,) and supervised["flip"] == (0.5,)


def _differing(one, other):
    return {name: value for name, value in other.items() if value != one[name]}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_names_its_commands_and_its_numbers(recipe):
    header = [line for line in (ROOT / recipe).read_text().splitlines() if line.startswith("#")]
    text = " ".join(line.removeprefix("# ") for line in header)
    rows = re.findall(rf"^\| `{recipe}` \|.*\| (.*) \| (.*) \|$", (ROOT / "docs" / "recipes.md").read_text(), re.M)
    assert len(rows) == 1, f"{recipe} has no row of its own in docs/recipes.md"
    assert f"train.py --flagfile={recipe} " in text or "make demo" in text
    assert "Not run here" in text or "Measured" in text
    published = text[text.index("Published") :] if "Published" in text else ""
    assert all(number in published for number in re.findall(r"\d+\.\d+", rows[0][0]))
    assert bool(published) == (rows[0][0] != "none")
