"""--task=pose: how well a turntable's angle can be read off an embedding: what invariance to views costs."""

import numpy as np

from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import figures
from keras_simsiam.evaluation.tasks import Seed
from keras_simsiam.probes import bootstrap, turntable

CLOSE = 30  # degrees: an angle off by no more counts as found
CHANCE = "chance: angles shuffled"
_WAYS = {"within": "other frames of the same recording", "across": "another recording of the same object"}
PROTOCOL = (
    "angle: 2π times a frame's number over those of its recording, taken as one full turn at constant speed (no true angles "
    "are known); ridge regression of its sine and cosine on standardised frozen pooled features, the strength by "
    f"leave-one-out on what it learns from; within: {turntable.FOLDS} folds of interleaved frames; across: learnt from "
    "one other recording of the object, the error up to one rotation, as it is not known where a turn began; chance: the "
    "same of the first encoder with each recording's angles shuffled; frames of both splits, no class labels"
)


Settings = Seed


def check(compared, data, settings):
    """Refuses nothing: what the frames' names say is known only once they are read."""


def run(compared, data, output, settings):
    """Predicts each frame's angle within its recording and across recordings of its object, of each encoder.

    Args:
        compared: `ComparedEncoders`.
        data: a `Data`; labels are not needed.
        output: Path of the folder for pose.png and predictions_pose.npz: by way `learnt`, `frame` and `angle` (degrees) of each
            prediction, and by way and encoder its error, −180..180 degrees.
        settings: `Settings`, the seed of chance.

    Returns:
        A task's results, with `recordings`, `left_out`, `errors`, by way and encoder `median_degrees` and the share
        `within_30_degrees`, and `difference`, by way the first encoder's share minus the second's (`bootstrap.compare`).

    Raises:
        UserError: no recording has enough frames.
    """
    parts = [data.features(compared, split) for split in (data.train, data.test)]
    frames = np.concatenate([part[compared.names[0]].frames for part in parts])
    turns, left_out = turntable.turns(frames)
    if not turns:
        raise UserError(
            f"{data.dataset.path}: no recording of {turntable.MIN_FRAMES} frames or more, whose names, such as {frames[0]}, "
            "differ by a number at the end; `task=pose` needs frames of a turntable"
        )
    embedded = {name: np.concatenate([part[name].embeddings for part in parts]) for name in compared.names}
    pairs = {way: of_way for way, of_way in turntable.pairs(turns).items() if of_way}
    by_chance = turntable.pairs(turntable.shuffled(turns, settings.seed))
    errors = {
        way: {name: _degrees(embedded[name], of_way) for name in compared.names}
        | {CHANCE: _degrees(embedded[compared.names[0]], by_chance[way])}
        for way, of_way in pairs.items()
    }
    _keep(errors, pairs, frames, output / "predictions_pose.npz")
    _draw(errors, output / "pose.png")
    differences = {way: _difference(by_name, compared.names, pairs[way]) for way, by_name in errors.items()}
    summaries = {way: {name: _summary(found) for name, found in by_name.items()} for way, by_name in errors.items()}
    return {
        "protocol": PROTOCOL,
        "files": ["pose.png", "predictions_pose.npz"],
        "table": _table(summaries, differences, compared.names),
        "recordings": [turn.name for turn in turns],
        "left_out": left_out,
        "errors": summaries,
        "difference": differences,
    }


def _degrees(features, pairs):
    return np.degrees(np.concatenate([turntable.errors(features, *pair) for pair in pairs]))


def _summary(errors):
    return {
        "median_degrees": float(np.median(np.abs(errors))),
        f"within_{CLOSE}_degrees": float(np.mean(np.abs(errors) <= CLOSE)),
        "predictions": len(errors),
    }


def _difference(by_name, names, pairs):
    """The first encoder's share of close angles minus the second's, recordings drawn whole; None of a single encoder."""
    if len(names) < 2:
        return None
    recordings = np.concatenate([[tested.name] * len(tested.places) for _, tested in pairs])
    found = bootstrap.compare(*(np.abs(by_name[name])[None] <= CLOSE for name in names[:2]), recordings)
    return {"share": found.difference, "interval": list(found.interval), "verdict": found.verdict}


def _keep(errors, pairs, frames, path):
    kept = {f"{way}: {name}": found for way, by_name in errors.items() for name, found in by_name.items()}
    for way, of_way in pairs.items():
        kept[f"{way}: learnt"] = np.concatenate([[learnt.name] * len(tested.places) for learnt, tested in of_way])
        kept[f"{way}: frame"] = frames[np.concatenate([tested.places for _, tested in of_way])]
        kept[f"{way}: angle"] = np.degrees(np.concatenate([tested.angles for _, tested in of_way]))
    np.savez_compressed(path, **kept)


def _table(summaries, differences, names):
    rows = [
        ["turntable angle", *(f"{way}: {what}" for way in summaries for what in ("median error, °", f"≤ {CLOSE}°, %"))]
    ]
    for name in next(iter(summaries.values())):
        cells = []
        for by_name in summaries.values():
            found = by_name[name]
            cells += [f"{found['median_degrees']:.1f}", f"{100 * found[f'within_{CLOSE}_degrees']:.1f}"]
        rows.append([name, *cells])
    if len(names) > 1:
        cells = [cell for found in differences.values() for cell in ("", _difference_cell(found))]
        rows.append([f"{names[0]} − {names[1]}", *cells])
    return rows


def _difference_cell(found):
    low, high = (100 * bound for bound in found["interval"])
    return f"{100 * found['share']:+.1f} [{low:+.1f}, {high:+.1f}], {found['verdict']}"


def _draw(errors, path):
    figure, places = figures.panels(len(errors))
    for axes, (way, by_name) in zip(places, errors.items(), strict=True):
        for (name, found), colour in zip(by_name.items(), (*figures.COLOURS[: len(by_name) - 1], "0.5"), strict=True):
            known = np.sort(np.abs(found))
            axes.plot(known, 100 * np.arange(1, len(known) + 1) / len(known), color=colour, label=name)
        axes.axvline(CLOSE, color="0.7", linewidth=0.8, linestyle=":")
        axes.set(
            title=f"{way}: learnt from {_WAYS[way]}", xlabel="error of the angle, degrees", xlim=(0, 180), ylim=(0, 101)
        )
        axes.set_xticks(range(0, 181, 30))
        axes.title.set_fontsize(9)
        axes.legend(fontsize=8, loc="lower right")
    places[0].set_ylabel("frames with at most that error, %")
    figure.savefig(path)
