import os

import pytest

pytest.importorskip("apache_beam")

from keras_simsiam.core.errors import UserError
from tests.tfrecords.test_builder import InProcess, build, files, load, make_plan
from tfrecords import builder, cluster
from tfrecords.sources import Plan
from tfrecords.unfinished import FOLDER, Unfinished

pytestmark = pytest.mark.slow

RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def build_on_beam(output, plan, arguments=None, **options):
    source = {"name": "numbers", "arguments": {"seed": 0}}
    with Unfinished(str(output)) as unfinished:
        run = cluster.Cluster([RUNNER], unfinished, arguments or {})
        return builder.build(plan, source, seed=0, unfinished=unfinished, pool=InProcess(), run=run, **options)


def changed(plan, load):
    return Plan(**(vars(plan) | {"load": load}))


def fail_late(number):
    """The survey, which looks at eight frames of each split, does not meet it."""
    if number == 123:
        raise UserError("/data/123.png is missing: fetch it")
    return load(number)


def mistaken_late(number):
    return 1 / 0 if number == 123 else load(number)


def test_it_does_what_a_pool_does(tmp_path):
    plan = make_plan([*range(150), -7, *range(150, 300)])
    build(tmp_path / "a", plan)
    build_on_beam(tmp_path / "b", plan)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_only_missing_shards_are_written(tmp_path, monkeypatch):
    build(tmp_path / "whole", make_plan())
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "a", make_plan(), InProcess(stop_after=2))
    read, unpickle = [], cluster._unpickle
    monkeypatch.setattr(cluster, "_unpickle", lambda path: read.append(path) or unpickle(path))
    build_on_beam(tmp_path / "a", make_plan())
    assert len([path for path in read if path.endswith(".tfrecord")]) == 3
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_strict_is_one_line_and_leaves_nothing_partial(tmp_path):
    plan = changed(make_plan(), fail_late)
    with pytest.raises(UserError, match=r"^/data/123.png is missing: fetch it$"):
        build_on_beam(tmp_path / "a", plan, strict=True)
    assert not any(path.name.startswith(".") for path in tmp_path.glob(f"a/{FOLDER}/*"))
    build_on_beam(tmp_path / "a", plan)
    build(tmp_path / "whole", plan)
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_a_worker_without_the_input(tmp_path):
    (tmp_path / "empty").mkdir()
    for input in ("missing", "empty"):
        path = tmp_path / input
        with pytest.raises(UserError, match=f"--input={path} is missing on .*: give an absolute path that all share"):
            build_on_beam(tmp_path / "a", make_plan(), {"input": str(path)})
    assert os.listdir(tmp_path) == ["empty"]


def test_a_worker_without_the_output(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 0)
    unfinished = Unfinished(str(tmp_path / "a"))
    # Where a worker looks there is nothing, and nothing can be written.
    monkeypatch.setattr(cluster.Cluster, "_run_pipeline", lambda self, names, prefix: elsewhere(names))

    def elsewhere(names):
        for name in names:
            cluster._run(name, prefix="/nowhere/.unfinished/.1.", input=None)

    with pytest.raises(
        UserError, match=rf"5 of 5 shards do not appear in {unfinished.folder}: --output and --input must"
    ):
        build_on_beam(tmp_path / "a", make_plan())
    assert os.listdir(tmp_path) == []


def test_a_job_that_outlives_its_build_writes_nothing(tmp_path, monkeypatch):
    late = []
    monkeypatch.setattr(cluster, "_PATIENCE", 0)
    monkeypatch.setattr(cluster.Cluster, "_run_pipeline", lambda self, names, prefix: late.append((names[0], prefix)))
    with pytest.raises(UserError, match="do not appear"):
        build_on_beam(tmp_path / "a", make_plan())
    with Unfinished(str(tmp_path / "a")) as unfinished:
        unfinished.begin({"source": {}, "input": "other"}, dict)
        before = sorted(os.listdir(unfinished.folder))
        cluster._run(*late[0], input=None)
        assert [name for name in sorted(os.listdir(unfinished.folder)) if "failure" not in name] == before


def test_mistakes_in_a_source_keep_their_traceback(tmp_path):
    with pytest.raises(Exception, match="division by zero"):
        build_on_beam(tmp_path / "a", changed(make_plan(), mistaken_late))
