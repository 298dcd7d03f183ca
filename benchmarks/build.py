"""Frames per second of a build, against what decoding and encoding the same frames alone costs the same processes.

    python -m benchmarks.build

Synthetic crops, written as Washington's files, can be had anywhere; Washington's own and 640×480 pairs are added where
../shared/data is next to the repository. "Alone": each process holds its frames' files in memory, decodes both images
(OpenCV) and encodes the record. "Build" does the rest too: reads the files, checks and counts, writes, hashes, brings to
the disk. Neither counts the seconds in which TensorFlow is imported and the files are listed. The disk is the temporary
folder's. Compare only the ratios of one run; on a shared machine, the milliseconds of processor time a frame.
"""

import keras_simsiam.core.command  # noqa: F401

import argparse
import multiprocessing
import os
import pathlib
import statistics
import tarfile
import tempfile
import time
from functools import partial

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np

from benchmarks import machine
from tfrecords import builder, example, images
from tfrecords.processes import Pool
from tfrecords.sources import Plan, synthetic, washington
from tfrecords.unfinished import Unfinished

DATA = pathlib.Path(__file__).parents[2] / "shared" / "data"
REPEATS = 3


def main():
    parser = argparse.ArgumentParser(description="Frames per second of a build.")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--crops", type=int, default=4000, help="crops a build: files are used again to reach it")
    parser.add_argument("--pairs", type=int, default=220, help="640×480 pairs a build")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Pool(arguments.workers) as pool:
        print(f"{machine.describe()}; {arguments.workers} workers, median of {REPEATS} builds")
        print(
            "| frames | kB a frame | shards | alone, 1/s | build, 1/s | build / alone | alone, CPU ms | build, CPU ms |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for name, plan in _plans(pathlib.Path(folder)):
            count = arguments.pairs if "640" in name else arguments.crops
            _measure(name, _repeated(plan, count), pathlib.Path(folder) / "output", pool, arguments.workers)


def _plans(folder):
    """Names and plans."""
    yield "synthetic crops", _synthetic_crops(folder / "synthetic")
    if _unpack("uw-rgbd-mini.tar.xz", folder):
        yield "Washington crops", washington.plan(str(folder / "rgbd-dataset"), every=1, gravity="nominal")
    if _unpack("osd.tar.xz", folder):
        yield "OSD pairs, 640×480, JPEG and PNG", _pairs(folder / "osd")


def _synthetic_crops(folder):
    """512 frames of the synthetic source as Washington's files."""
    plan = synthetic.plan(train_instances=16, test_instances=0)
    for number, reference in enumerate(plan.splits["train"]):
        frame = plan.load(reference)
        stem = folder / "thing" / "thing_1" / f"thing_1_1_{number}"
        stem.parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(f"{stem}_crop.png").write_bytes(frame.rgb)
        pathlib.Path(f"{stem}_depthcrop.png").write_bytes(frame.depth)
        pathlib.Path(f"{stem}_loc.txt").write_text("200,150\n")
    return washington.plan(str(folder), every=1, gravity="nominal")


def _pairs(folder):
    references = [
        (str(path), str(path.parents[1] / "depth" / path.with_suffix(".png").name))
        for path in sorted(folder.glob("*/rgb/*.jpg"))
    ]
    return Plan(splits={"train": references}, load=_load_pair, classes=[], instances=[], gravity={})


def _load_pair(paths):
    rgb, size = images.read_color(paths[0])
    depth, _ = images.read_depth(paths[1], size)
    return example.Frame(name=paths[0], rgb=rgb, depth=depth, intrinsics=(525.0, 525.0, 319.5, 239.5))


def _unpack(name, folder):
    if not (DATA / name).exists():
        return False
    with tarfile.open(DATA / name) as pack:
        pack.extractall(folder, filter="data")
    return True


def _repeated(plan, count):
    """The plan with one split of so many frames."""
    references = [reference for references in plan.splits.values() for reference in references]
    repeated = [references[index % len(references)] for index in range(count)]
    return Plan(**(vars(plan) | {"splits": {"train": repeated}}))


def _measure(name, plan, output, pool, workers):
    references = plan.splits["train"]
    rates, costs = {"alone": [], "build": []}, {"alone": [], "build": []}
    for repeat in range(REPEATS):
        parts = [references[start::workers] for start in range(workers)]
        measurements = list(pool.run(partial(_decode_and_encode, load=plan.load), parts))
        rates["alone"].append(sum(rate for rate, _ in measurements))
        costs["alone"].append(1000 * sum(cpu for _, cpu in measurements) / len(references))
        start, cpu = time.perf_counter(), _cpu_seconds()
        with Unfinished(str(output / name / str(repeat))) as unfinished:
            content = builder.build(plan, {"name": name, "arguments": {}}, seed=0, unfinished=unfinished, pool=pool)
        rates["build"].append(len(references) / (time.perf_counter() - start))
        costs["build"].append(1000 * (_cpu_seconds() - cpu) / len(references))
    split = content["splits"]["train"]
    size = sum(split["bytes"]) / split["count"] / 1000
    alone, build = (statistics.median(rates[kind]) for kind in ("alone", "build"))
    alone_cpu, build_cpu = (statistics.median(costs[kind]) for kind in ("alone", "build"))
    print(
        f"| {name} | {size:.1f} | {len(split['shards'])} | {alone:,.0f} | {build:,.0f} | {build / alone:.2f} "
        f"| {alone_cpu:.2f} | {build_cpu:.2f} |",
        flush=True,
    )


def _decode_and_encode(references, progress, load):
    """Frames per second of one process, whose frames are in memory, and the seconds of processor time they take."""
    frames = [load(reference) for reference in references]
    start, cpu = time.perf_counter(), time.process_time()
    for frame in frames:
        for encoded in (frame.rgb, frame.depth):
            cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
        example.encode(frame)
    return len(frames) / (time.perf_counter() - start), time.process_time() - cpu


def _cpu_seconds():
    """Processor time so far of this process and its workers."""
    ticks = 0
    for process in (os.getpid(), *(worker.pid for worker in multiprocessing.active_children())):
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
