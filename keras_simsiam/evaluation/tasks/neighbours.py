"""--task=neighbours: test frames and the training frames that an encoder finds nearest to them, as a picture."""

import dataclasses

import numpy as np

from keras_simsiam.core.settings import setting
from keras_simsiam.evaluation import neighbour_pictures
from keras_simsiam.evaluation.tasks import Scaling, Seed
from keras_simsiam.probes import knn, label_subsets, scores

SHOWN = 8  # neighbours of a query in the picture


@dataclasses.dataclass(frozen=True)
class Settings(Scaling, Seed):
    """What is in the picture."""

    neighbour_queries: int = setting(8, "Test frames in the picture of nearest neighbours.", low=1)


def check(compared, data, settings):
    """Refuses unlabelled data.

    Raises:
        UserError: there are no labels.
    """
    data.require_labels("neighbours")


def run(compared, data, output, settings):
    """Draws some test frames of each class, and their nearest training frames by cosine, of each encoder.

    Args:
        compared: `ComparedEncoders`.
        data: a `Data`.
        output: Path of the folder for neighbours.png of the first encoder, neighbours_2.png of the next, and so on.
        settings: `Settings`; the queries are drawn by the seed, classes taking turns.

    Returns:
        A task's results, with `precision`, by encoder the share of the SHOWN nearest that are of the query's class, mean over
        the whole test split, `precision_of_nearest`, that of the nearest one, and `shown`, by encoder a list of queries with
        their neighbours.

    Raises:
        UserError: a sample has no label.
    """
    scale = data.scaler(compared, settings)
    train, test = (scale(data.features(compared, split)) for split in (data.train, data.test))
    labels = test[compared.names[0]].labels
    for split, found in ((data.train, train), (data.test, test)):
        scores.require_labels(found[compared.names[0]].labels, f"split {split} of {data.dataset.path}")
    places = np.sort(label_subsets.order(labels, settings.seed)[: settings.neighbour_queries])
    places = places[np.argsort(labels[places], kind="stable")]
    nearest = {name: knn.nearest(train[name].embeddings, test[name].embeddings, SHOWN) for name in compared.names}
    right = {name: train[name].labels[rows] == labels[:, None] for name, (_, rows) in nearest.items()}
    query_pictures = neighbour_pictures.pictures(data.dataset.samples(data.test), places)
    bank_pictures = neighbour_pictures.pictures(
        data.dataset.samples(data.train), np.concatenate([rows[places].ravel() for _, rows in nearest.values()])
    )
    files = []
    for number, name in enumerate(compared.names, 1):
        cosines, rows = nearest[name]
        files.append("neighbours.png" if number == 1 else f"neighbours_{number}.png")
        cells = [
            [
                (query_pictures[place], data.dataset.classes[labels[place]], neighbour_pictures.QUERY),
                *_cells(rows[place], cosines[place], right[name][place], bank_pictures, train[name].labels, data),
            ]
            for place in places
        ]
        neighbour_pictures.draw(cells, _title(name, right[name]), output / files[-1])
    return {
        "protocol": f"cosine of frozen pooled features, bank: the training split; {settings.protocol}; "
        f"queries of the picture by seed {settings.seed}",
        "files": files,
        "table": _table(right),
        "precision": {name: float(found.mean()) for name, found in right.items()},
        "precision_of_nearest": {name: float(found[:, 0].mean()) for name, found in right.items()},
        "shown": {
            name: _facts(places, *nearest[name], right[name], train[name], test[name]) for name in compared.names
        },
    }


def _cells(rows, cosines, right, pictures, labels, data):
    return [
        (
            pictures[row],
            f"{data.dataset.classes[labels[row]]} {cosine:.2f}",
            neighbour_pictures.RIGHT if is_right else neighbour_pictures.WRONG,
        )
        for row, cosine, is_right in zip(rows, cosines, right, strict=True)
    ]


def _title(name, right):
    return (
        f"{name}: test frames (grey), and the training frames nearest to them with their cosine\n"
        f"green: of the same class, {100 * right.mean():.1f} % of all test frames' neighbours; red: of another"
    )


def _table(right):
    header = ["neighbours of the same class, %", "the nearest", f"the {SHOWN} nearest"]
    return [header] + [
        [name, f"{100 * found[:, 0].mean():.1f}", f"{100 * found.mean():.1f}"] for name, found in right.items()
    ]


def _facts(places, cosines, rows, right, train, test):
    return [
        {
            "query": str(test.frames[place]),
            "neighbours": train.frames[rows[place]].tolist(),
            "cosines": [round(float(value), 4) for value in cosines[place]],
            "right": right[place].tolist(),
        }
        for place in places
    ]
