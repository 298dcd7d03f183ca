"""--recipe=NAME stands for the flags of a file."""

import pathlib

import pytest

from keras_simsiam.commands import recipes
from keras_simsiam.core import settings
from keras_simsiam.core.errors import UserError
from keras_simsiam.training.config import RunConfig

ROOT = pathlib.Path(__file__).parents[2]
PATHS = "--data_dir=data", "--workdir=run"


def test_every_file_of_flags_is_a_recipe():
    files = [ROOT / "rgbd.flags", *(ROOT / "recipes").glob("*.flags")]
    assert recipes.names() == sorted({path.stem for path in files})
    assert (ROOT / "recipes" / "rgbd.flags").read_text() == (ROOT / "rgbd.flags").read_text()


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_is_its_file_whatever_the_current_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = ROOT / "recipes" / f"{name}.flags"
    by_file = settings.parse(RunConfig, [f"--flagfile={path if path.exists() else ROOT / path.name}", *PATHS])
    monkeypatch.chdir(tmp_path)
    assert settings.parse(RunConfig, recipes.expand([f"--recipe={name}", *PATHS])) == by_file


def test_flags_after_it_override_it():
    for given in (["--recipe=rgbd"], ["--recipe", "rgbd"], ["-recipe=rgbd"]):
        expanded = recipes.expand(["--epochs=3", *given, "--width=8", *PATHS])
        config = settings.parse(RunConfig, expanded)
        assert (config.modality, config.epochs, config.width) == ("rgbd", 100, 8)
    assert recipes.expand(["--", "--recipe=rgbd"]) == ["--", "--recipe=rgbd"]


def test_an_installed_package_holds_them_itself(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    for name in ("rgbd", "rgbd_rgb"):
        (tmp_path / "recipes" / f"{name}.flags").write_text((ROOT / "recipes" / f"{name}.flags").read_text())
    monkeypatch.setattr(recipes, "_FOLDERS", (tmp_path / "recipes", tmp_path / "nowhere"))
    assert recipes.names() == ["rgbd", "rgbd_rgb"]
    assert recipes.flags("rgbd_rgb")[-1] == "--modality=rgb" and "--epochs=100" in recipes.flags("rgbd_rgb")


def test_an_unknown_one_is_answered_by_the_nearest_or_by_all():
    with pytest.raises(UserError, match=r"^--recipe=simclr: there is no such recipe; did you mean simclr_imagenet\?$"):
        recipes.expand(["--recipe=simclr"])
    with pytest.raises(UserError, match=r"^--recipe=smal: there is no such recipe; did you mean .*\bsmall\b"):
        recipes.expand(["--recipe=smal"])
    with pytest.raises(UserError, match=r"choose one of byol_imagenet, cifar10_narrow, .*, washington_small$"):
        recipes.expand(["--recipe=qqq"])
    with pytest.raises(UserError, match=r"^--recipe=: "):
        recipes.expand(["--recipe"])
