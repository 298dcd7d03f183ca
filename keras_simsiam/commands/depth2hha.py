"""Depth images to HHA images: python -m tools.depth2hha --input='depth/*.png' --output=hha/ --units_per_metre=1000"""

from keras_simsiam.core.command import run_command

import json
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool

from absl import flags
from tqdm import tqdm

from keras_simsiam.core.errors import UserError
from tfrecords import camera_file, depth_files

FLAGS = flags.FLAGS

# The flags that decide what an image shows, kept in the output folder.
_RECORD = "depth2hha.json"
_RECORDED = ("encoding", "holes", "gravity")


@dataclass(frozen=True)
class _Job:
    input: str
    output: str
    camera: camera_file.Camera
    units_per_metre: float


def define_flags():
    """Called only by the command."""
    flags.DEFINE_string("input", None, "Depth images: a folder, or a pattern in quotes ('depth/*.png').", required=True)
    flags.DEFINE_string(
        "output", None, "The folder to write the HHA images to, as PNG; inner folders are kept.", required=True
    )
    flags.DEFINE_string("camera", None, "fx,fy,cx,cy in pixels, zero-based pixel centres; read no camera file.")
    flags.DEFINE_string("camera_file", None, "Camera file of all images (default: camera.json next to or above each).")
    flags.DEFINE_float("units_per_metre", None, "Depth values in a metre: 1000 for millimetres, 1 for metres.")
    flags.DEFINE_enum("encoding", "gupta", ["gupta", "paper"], "Gupta's HHA, or the simpler one of the RGB-D paper.")
    flags.DEFINE_enum(
        "holes",
        "none",
        ["none", "mask", "neutral", "nearest", "inpaint"],
        "What becomes of missing depth: as published, an alpha channel that shows it, a neutral colour, or filled first.",
    )
    flags.DEFINE_string(
        "gravity", "estimate", "estimate, or gx,gy,gz in the camera's frame (x right, y down, z forward)."
    )
    flags.DEFINE_integer(
        "workers", None, "Images at once, each on one thread (default: the machine's CPUs).", lower_bound=1
    )
    flags.DEFINE_bool("overwrite", False, "Write images again that are already there.")


def main():
    """The command."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gravity = camera_file.parse_gravity(FLAGS.gravity, "estimate")
    jobs = _jobs(FLAGS.input, FLAGS.output)
    _make_folder(FLAGS.output)
    _record_flags(FLAGS.output)
    waiting = [job for job in jobs if FLAGS.overwrite or not os.path.exists(job.output)]
    try:
        skipped = _convert(waiting, gravity) if waiting else []
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on where it stopped")
    _print_summary(jobs, waiting, skipped)
    sys.exit(1 if skipped else 0)


def _jobs(pattern, output):
    """The images to convert. Whatever is wrong with flags and camera files is found here, before any work."""
    given = camera_file.given(FLAGS.camera, FLAGS.camera_file)
    root, paths = depth_files.find(pattern, output)
    jobs, sources = [], {}
    for path in paths:
        camera = given or camera_file.of_image(path)
        target = os.path.splitext(os.path.join(output, os.path.relpath(path, root)))[0] + ".png"
        other = sources.setdefault(target, path)
        if other != path:
            raise UserError(f"{other} and {path} would both become {target}: narrow --input to one of them")
        jobs.append(_Job(path, target, camera, camera_file.units(camera, FLAGS.units_per_metre, path)))
    inputs = {os.path.realpath(path) for path in paths}
    for target in sources:
        if os.path.realpath(target) in inputs:
            raise UserError(f"--output={output} would replace the depth image {target}: give another folder")
    return jobs


def _make_folder(output):
    try:
        os.makedirs(output, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output={output} is no folder and cannot be one ({error.strerror}): name another") from None


def _record_flags(output):
    """Write down what images of this folder show; refuse to add others to them."""
    path, given = os.path.join(output, _RECORD), {name: FLAGS[name].value for name in _RECORDED}
    if os.path.exists(path) and not FLAGS.overwrite:
        recorded = _read_record(path)
        for name in _RECORDED:
            if recorded[name] != given[name]:
                raise UserError(
                    f"{output} holds images of --{name}={recorded[name]}: give that, another --output, or --overwrite"
                )
    with open(path, "w", encoding="utf-8") as file:
        json.dump(given, file, indent=1)
        file.write("\n")


def _read_record(path):
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        return {name: content[name] for name in _RECORDED}
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path} is damaged: give another --output, or --overwrite") from None


def _convert(jobs, gravity):
    """Write the HHA image of each job; the sorted reasons why some were skipped."""
    # TensorFlow takes seconds to load: mistakes in the flags are told before.
    from keras_simsiam.commands import hha_images

    workers = FLAGS.workers or os.cpu_count()
    hha_images.limit_threads(workers)
    encode = hha_images.make_encoder(FLAGS.encoding, gravity, FLAGS.holes)

    def convert(job):
        try:
            depth = depth_files.read(job.input, job.units_per_metre, job.camera.size)
        except UserError as error:
            return str(error)
        hha_images.write_png(job.output, encode(depth, job.camera.intrinsics).numpy())
        return None

    # One process: TensorFlow and OpenCV run without Python's lock, and share the graph.
    pool = ThreadPool(workers)
    try:
        results = tqdm(pool.imap_unordered(convert, jobs), total=len(jobs), unit="image", desc="HHA", disable=None)
        return sorted(reason for reason in results if reason)
    finally:
        # Images under way are finished, so that an interrupted run leaves no partial file.
        pool.terminate()
        pool.join()


def _print_summary(jobs, waiting, skipped):
    cameras = sorted({f"{job.camera.origin}, {job.units_per_metre:g} units per metre" for job in jobs})
    print(f"camera: {cameras[0]}" + (f" (and {len(cameras) - 1} more)" if cameras[1:] else ""))
    print(f"written: {len(waiting) - len(skipped)}")
    if len(jobs) > len(waiting):
        print(f"already there: {len(jobs) - len(waiting)} (kept as they are; --overwrite writes them again)")
    print(f"skipped: {len(skipped)}")
    for reason in skipped:
        print(f"  {reason}")
    print(f"written to: {FLAGS.output}")


if __name__ == "__main__":
    run_command(main, define_flags)
