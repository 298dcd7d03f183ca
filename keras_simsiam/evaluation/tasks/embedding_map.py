"""--task=embedding_map: the test split's embeddings on a plane, by PCA and t-SNE, and in the projector of TensorBoard."""

import dataclasses

import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.preprocessing import normalize

from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import figures
from keras_simsiam.evaluation.tasks import Scaling, Seed
from keras_simsiam.probes import features, scores
from keras_simsiam.training.monitors import embedding_projector
from keras_simsiam.views.batches import clean_batches
from keras_simsiam.views.preprocessing import Preprocessing

FRAMES = 2000  # at most: t-SNE's time, and the projector's
MIN_FRAMES = 3
PERPLEXITY = 30
NEIGHBOURS = 5  # of a frame, that a map should keep
_MARKERS = "o^sDvP*X<>"
_LEGEND = 60  # classes; more are coloured, not named


@dataclasses.dataclass(frozen=True)
class Settings(Scaling, Seed):
    """What is done to features before they are drawn, and the seed of t-SNE and of the choice of frames."""


def check(compared, data, settings):
    """Refuses unlabelled data.

    Raises:
        UserError: there are no labels.
    """
    data.require_labels("embedding_map")


def run(compared, data, output, settings):
    """Draws two maps of each encoder's embeddings of the test split, and writes those of the first for the projector.

    Args:
        compared: `ComparedEncoders`.
        data: a `Data`.
        output: Path of the folder for embedding_map.png and projector/ (`evaluation.projector`; tensorboard
            --logdir=<output>/projector shows it).
        settings: `Settings`; frames are chosen where there are more than FRAMES.

    Returns:
        A task's results, with `frames`, how many are drawn, and `trustworthiness`, by encoder and map.

    Raises:
        UserError: the test split has fewer than MIN_FRAMES frames; a sample has no label.
    """
    test = data.scaler(compared, settings)(data.features(compared, data.test))
    labels = test[compared.names[0]].labels
    scores.require_labels(labels, f"split {data.test} of {data.dataset.path}")
    if len(labels) < MIN_FRAMES:
        raise UserError(f"split {data.test} of {data.dataset.path} has {len(labels)} frames: a map needs {MIN_FRAMES}")
    seed = settings.seed
    places = np.sort(np.random.default_rng(seed).permutation(len(labels))[:FRAMES])
    maps = {name: _maps(test[name].embeddings[places], seed) for name in compared.names}
    _draw(maps, labels[places], data.dataset.classes, output / "embedding_map.png")
    _write_projector(data, test[compared.names[0]], places, output / "projector")
    trust = {name: {kind: kept for kind, (_, _, kept) in by_kind.items()} for name, by_kind in maps.items()}
    return {
        "protocol": (
            f"{len(places)} of {len(labels)} test frames, {settings.protocol}, then scaled to unit length; t-SNE by cosine, "
            "begun from PCA, "
            f"perplexity {_perplexity(len(places)):g}, seed {seed}; trustworthiness (Venna & Kaski 2001): 1 where none of the "
            f"{_neighbours(len(places))} nearest on the map is a stranger"
        ),
        "files": ["embedding_map.png", "projector/projector_config.pbtxt"],
        "table": [["trustworthiness", *trust[compared.names[0]]]]
        + [[name, *(f"{value:.3f}" for value in found.values())] for name, found in trust.items()],
        "frames": len(places),
        "trustworthiness": trust,
    }


def _perplexity(count):
    return min(PERPLEXITY, (count - 1) / 3)


def _neighbours(count):
    return min(NEIGHBOURS, (count - 1) // 2)


def _maps(embeddings, seed):
    """By kind: points [N,2], names of the two axes, trustworthiness."""
    unit = normalize(embeddings.astype(np.float64))
    pca = PCA(2, random_state=seed).fit(unit)
    points = {
        "PCA": (
            pca.transform(unit),
            [f"{100 * share:.0f} % of the variance" for share in pca.explained_variance_ratio_],
        ),
        "t-SNE": (
            TSNE(metric="cosine", init="pca", perplexity=_perplexity(len(unit)), random_state=seed).fit_transform(unit),
            ["", ""],
        ),
    }
    return {
        kind: (plane, axes, float(trustworthiness(unit, plane, n_neighbors=_neighbours(len(unit)), metric="cosine")))
        for kind, (plane, axes) in points.items()
    }


def _write_projector(data, found, places, folder):
    wanted = tf.constant(places)
    chosen = data.dataset.samples(data.test).enumerate().filter(lambda place, _: tf.reduce_any(place == wanted))
    seen = Preprocessing("rgb", embedding_projector.THUMBNAIL)  # whatever the encoder sees: people know colours
    batches = clean_batches(chosen.map(lambda _, sample: sample), seen, batch_size=data.batch_size)
    thumbnails = []
    for _ in embedding_projector.with_thumbnails(batches, thumbnails):
        pass
    folder.mkdir(exist_ok=True)
    shown = features.Features(*(array[places] for array in vars(found).values()))
    embedding_projector.write(
        str(folder), shown, classes=data.dataset.classes, thumbnails=thumbnails, name=f"split {data.test}"
    )


def _draw(maps, labels, classes, path):
    figure, places = figures.panels(2, 4.6, 4.0, len(maps))
    cells = [(name, kind, found) for name, by_kind in maps.items() for kind, found in by_kind.items()]
    for axes, (name, kind, (points, labelled, kept)) in zip(places, cells, strict=True):
        for label in np.unique(labels):
            colour, marker = f"C{label % 10}", _MARKERS[label // 10 % len(_MARKERS)]
            axes.scatter(
                *points[labels == label].T, s=9, color=colour, marker=marker, linewidths=0, label=classes[label]
            )
        axes.set(xticks=[], yticks=[], xlabel=labelled[0], ylabel=labelled[1])
        axes.set_title(f"{name}, {kind} (trustworthiness {kept:.2f})", fontsize=9)
    if len(np.unique(labels)) <= _LEGEND:
        entries = places[0].get_legend_handles_labels()
        figure.legend(*entries, fontsize=7, loc="outside right upper", ncols=-(-len(entries[0]) // 30), markerscale=1.5)
    figure.savefig(path)
