"""The tasks of an evaluation as experiments use them: run once for a run, and kept next to it."""

import functools
import json
import os

from experiments import common, measure
from keras_simsiam.evaluation import evaluate, tables
from keras_simsiam.evaluation.encoders.source import resolve_run


def evaluated(workdir, dataset, task, given):
    """The results of a task on a run, or those of the same encoder and data with the same settings before.

    Args:
        workdir: the run's folder; results and figures lie in its evaluation/<task>/.
        dataset: the `tfrecords.Dataset`.
        task: a name of `evaluate.TASKS`.
        given: dict of the task's settings, as `evaluate.evaluate` takes them.

    Returns:
        The task's results (keras_simsiam/evaluation/tasks).

    Raises:
        UserError: the run is not complete, or the task cannot be run on it.
    """
    folder = os.path.join(workdir, "evaluation", task)
    path = os.path.join(folder, "experiments.json")
    source = resolve_run(workdir)
    identity = json.loads(json.dumps(measure.identity(source, dataset) | {"given": given}))
    found = measure.read(path)
    if found.get("identity") != identity or task not in found:
        progress = functools.partial(print, flush=True)
        results = evaluate.evaluate(
            source, dataset, task=task, output=folder, batch_size=measure.BATCH, progress=progress, **given
        )
        print(tables.of_results(results))
        print(tables.written(results))
        measure.write(path, {"identity": identity} | results)
        found = measure.read(path)
    return found[task]


def of_runs(runs, task, given, dataset=None):
    """`evaluated` of all runs that are measured; a run whose task fails is listed as failed, and the others go on.

    Args:
        runs: the `common.Runs`.
        task, given: as `evaluated` takes them.
        dataset: another data set than the runs'.

    Returns:
        A dict from a variant to a dict from a seed to the task's results, without those that failed.
    """
    found = {}
    for variant, seeds in runs.measured.items():
        for seed in seeds:
            name = common.run_name(variant, seed)
            if name in runs.failed:  # by the report after an earlier run: a task may take an hour to fail again
                continue
            with runs.listing(name):
                result = evaluated(runs.folder(variant, seed), dataset or runs.dataset, task, given)
                found.setdefault(variant, {})[seed] = result
    return found
