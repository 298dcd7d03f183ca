"""The on-disk format of RGB-D frames, TFRecord shards and their dataset.json, and all that reads or writes it.

What a program reads them with:

    from tfrecords import Dataset

    dataset = Dataset("data/washington")
    print(dataset.splits["train"].count, dataset.classes, dataset.has_depth)
"""

__all__ = ["Dataset"]


def __getattr__(name):
    """Import `Dataset` when it is asked for: the commands of this package start without what reads a data set."""
    if name == "Dataset":
        from tfrecords.dataset import Dataset

        return Dataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
