"""What an encoder can be asked (evaluate.py --task): one file a task, each with its settings and two functions.

    Settings
    check(compared, data, settings)
    run(compared, data, output, settings) -> results

Settings: a frozen dataclass of settings (keras_simsiam.core.settings), whose fields are flags of evaluate.py and have their
    ranges; `settings` is an object of it.

compared: `keras_simsiam.evaluation.encoders.compared.ComparedEncoders`, encoders by name, the one asked for first.
data: a `keras_simsiam.evaluation.data.Data`: `dataset` gives Samples, `features(compared, split)` frozen Features by the
    encoder's name; `train` and `test` name the two splits; `progress(line)` says what takes long, as nothing here prints.
output: pathlib.Path of a folder, which exists, for figures and predictions. What is in it, folders too, goes to --output once
    all tasks are done: no file in it may name it.

`check` raises a UserError for what the task cannot be run on, before anything is computed, of any task that was asked for;
it returns nothing. `data.require_labels` and `data.require_depth` are for it. Modalities and splits are checked already.

`run` returns a dict that JSON can hold, which results.json has under the task's name:
    protocol: one line that says all that changes the numbers; printed.
    files: names of the files that it wrote into `output`; printed.
    table: rows of strings, the header first, printed in columns. A probe of frozen features gives what `probes.run` returns
        in its place: the accuracies of all probes share one table.
    and whatever numbers else, plain Python ones.
It raises a UserError for what only the data shows. Nothing in it may depend on the labels of `data.test` but scores.
"""

import dataclasses

from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import Checked, setting
from keras_simsiam.probes import whitening


@dataclasses.dataclass(frozen=True)
class Seed(Checked):
    """The setting of every task that draws something."""

    seed: int = setting(0, "Seed of what a task draws, and of `encoder=random`.", low=0, below=2**32)


@dataclasses.dataclass(frozen=True)
class ByModality(Checked):
    """The setting of every task that classifies frozen features with all labels (evaluation.tasks.classification)."""

    by_modality: bool = setting(
        False, "Of an RGB-D encoder measure colour's and depth's features apart too, and a vote of both (late fusion)."
    )


@dataclasses.dataclass(frozen=True)
class Scaling(Checked):
    """The settings of every task that compares features by cosine (keras_simsiam.probes.whitening)."""

    scaling: str = setting(
        "whitened",
        "What is done to features before kNN and neighbours compare them; fitted to the training split without its labels.",
        choices=whitening.KINDS,
    )
    shrinkage: float | None = setting(
        None,
        "Whitening: share of the mean variance in that of each axis, from 0 (all axes alike) to 1 (as they are); by default "
        "as Ledoit and Wolf estimate it.",
        low=0,
        high=1,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.shrinkage is not None and self.scaling != "whitened":
            raise UserError(
                f"`shrinkage={self.shrinkage:g}` has no meaning with `scaling={self.scaling}`: leave it out"
            )

    @property
    def protocol(self):
        """What is done, for a protocol."""
        if self.scaling == "none":
            return "features as they are"
        given = "of Ledoit & Wolf" if self.shrinkage is None else f"{self.shrinkage:g}"
        shrinkage = f", shrinkage {given}" if self.scaling == "whitened" else ""
        return f"features {self.scaling} by the training split without its labels{shrinkage}"
