"""What serving costs: bytes to embedding against its parts, latencies of 1, 4 and 16 clients, and bad requests among good ones.

    python -m benchmarks.serving --model=serving/rgbd_encoder/1 --encoder=runs/rgbd --rgb=rgb.png --depth=depth.png \\
        --camera=525,525,319.5,239.5 --units_per_metre=1000

The model runs in this process behind TensorFlow Serving's gRPC services (tests/prediction_service.py), not in the server
itself. The ratio is the target: at most 1.15, all of it measured in one run, in turns.
"""

from keras_simsiam.core.command import run_command

import concurrent.futures
import pathlib
import time

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import machine
from export import client, transport
from keras_simsiam.training import run
from keras_simsiam.views.preprocessing import clean_view
from tests import prediction_service
from tests.serving_session import Model
from tfrecords import camera_file

flags.DEFINE_string("model", None, "Folder of a version of an exported encoder of colour and depth.", required=True)
flags.DEFINE_string("encoder", None, "The run it was exported from.", required=True)
flags.DEFINE_string("rgb", None, "Image file.", required=True)
flags.DEFINE_string("depth", None, "Depth file.", required=True)
flags.DEFINE_string("camera", None, "fx,fy,cx,cy.", required=True)
flags.DEFINE_float("units_per_metre", 1000.0, "Depth values in a metre.")
flags.DEFINE_string("gravity", "0,1,0", "gx,gy,gz, or estimate.")
flags.DEFINE_integer("repeats", 50, "Frames to time each way.")
flags.DEFINE_integer("requests", 200, "Requests of each number of clients.")
flags.DEFINE_integer("bad_requests", 1000, "Bad requests, each together with a good one.")

CLIENTS = (1, 4, 16)


def main():
    frame = _frame()
    print(machine.describe())
    print(f"artifact: {_size(pathlib.Path(flags.FLAGS.model)) / 1e6:.1f} MB")
    start = time.perf_counter()
    model = Model(flags.FLAGS.model)
    loaded = time.perf_counter()
    model.run("serving_default", client.tensors([frame]))
    print(f"load: {loaded - start:.1f} s; first request: {time.perf_counter() - loaded:.1f} s")
    _print_ratio(model, frame)
    with prediction_service.served(flags.FLAGS.model, workers=2 * max(CLIENTS)) as address:
        _print_clients(address, frame)
        _print_bad(address, frame)


def _frame():
    camera = camera_file.parse(flags.FLAGS.camera)
    gravity = camera_file.parse_gravity(flags.FLAGS.gravity, "estimate")
    paths = [flags.FLAGS.rgb, flags.FLAGS.depth]
    return client.read_frames(
        paths, "rgbd", camera=camera, units_per_metre=flags.FLAGS.units_per_metre, gravity=gravity
    )[0]


def _size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _print_ratio(model, frame):
    """In turns. What else a machine does burdens the longest calls most, and the least of many calls the least."""
    whole = client.tensors([frame])
    ways = {"bytes to embedding": lambda: model.run("serving_default", whole), **_parts(frame)}
    times = {name: [] for name in ways}
    for repeat in range(flags.FLAGS.repeats + 3):
        for name, call in ways.items():
            start = time.perf_counter()
            call()
            if repeat >= 3:
                times[name].append(1000 * (time.perf_counter() - start))
    print("| | " + " | ".join(times) + " | bytes to embedding / sum of the parts |")
    print("|---|" + "---|" * (len(times) + 1))
    for name, percentile in (("least, ms", 0), ("lower quartile, ms", 25), ("median, ms", 50)):
        total, *parts = (np.percentile(values, percentile) for values in times.values())
        cells = [f"{value:.1f}" for value in (total, *parts)]
        print(f"| {name} | {' | '.join(cells)} | {total / sum(parts):.2f} |")


def _parts(frame):
    """Decoding, HHA with crop and resize, and the network, each a compiled function on the result of the one before."""
    encoder, config = run.load_encoder(flags.FLAGS.encoder), run.load_config(flags.FLAGS.encoder)

    @tf.function
    def decode(image, depth):
        return tf.io.decode_image(image, 3, expand_animations=False), tf.io.decode_png(depth, 1, tf.uint16)

    @tf.function
    def preprocess(rgb, depth, intrinsics, gravity):
        depth = tf.cast(tf.ensure_shape(depth, [None, None, 1])[..., 0], tf.float32) / frame.units_per_metre
        sample = {"rgb": tf.ensure_shape(rgb, [None, None, 3]), "depth": depth}
        sample |= {"intrinsics": intrinsics, "gravity": gravity}
        view = clean_view(sample, config.preprocessing)
        return {part: image[tf.newaxis] for part, image in view.items()}

    @tf.function
    def network(view):
        return encoder(view, training=False)["embedding"]

    files = tf.constant(frame.image), tf.constant(frame.depth)
    images = decode(*files)
    camera = tf.constant(frame.intrinsics), tf.constant(frame.gravity)
    view = preprocess(*images, *camera)
    return {
        "decoding": lambda: decode(*files),
        "HHA, crop, resize": lambda: preprocess(*images, *camera),
        "network": lambda: network(view).numpy(),
    }


def _print_clients(address, frame):
    _ask(address, frame, 1)  # the first request takes seconds
    print("| clients | p50, ms | p99, ms | frames a second |")
    print("|---|---|---|---|")
    for clients in CLIENTS:
        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            share = flags.FLAGS.requests // clients
            times = [
                x for xs in pool.map(lambda _, share=share: _ask(address, frame, share), range(clients)) for x in xs
            ]
        rate = len(times) / (time.perf_counter() - start)
        p50, p99 = np.percentile(times, [50, 99])
        print(f"| {clients} | {p50:.0f} | {p99:.0f} | {rate:.1f} |")


def _ask(address, frame, count):
    """Milliseconds of requests by a client of its own, one after the other."""
    connection, times = transport.connect(address, "rgbd_encoder", 120), []
    for _ in range(count):
        start = time.perf_counter()
        client.embed(connection, [frame])
        times.append(1000 * (time.perf_counter() - start))
    connection.close()
    return times


def _print_bad(address, frame):
    """Bad requests and good ones in turn, by 4 clients: how many of each are answered as they should be, and memory."""
    tensors = client.tensors([frame])
    random = np.random.default_rng(0)
    wrong = [
        {"image": np.array([random.bytes(5000)], object)},
        {"image": np.array([frame.image[: len(frame.image) // 2]], object)},
        {"image": np.array([b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x4e\x20\0\0\x4e\x20\x08\x02\0\0\0"], object)},
        {"depth": np.array([frame.image], object)},
        {"intrinsics": np.full((1, 4), np.nan, np.float32)},
        {"intrinsics": np.ones((1, 4), np.float64)},
        {"units_per_metre": np.zeros(1, np.float32)},
        {name: array[:0] for name, array in tensors.items()},
    ]

    def ask(index):
        connection = transport.connect(address, "rgbd_encoder", 120)
        expected = connection.predict(tensors)["embedding"]
        answered = refused = 0
        for request in range(flags.FLAGS.bad_requests // 4):
            try:
                connection.predict(tensors | wrong[(request + index) % len(wrong)])
            except transport.Refused:
                refused += 1
            answered += np.allclose(connection.predict(tensors)["embedding"], expected, atol=1e-4)
        connection.close()
        return answered, refused

    before = _resident()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answered, refused = np.sum(list(pool.map(ask, range(4))), axis=0)
    sent = flags.FLAGS.bad_requests // 4 * 4
    print(
        f"bad requests refused with a sentence: {refused} of {sent}; good ones beside them answered: {answered} of {sent}"
    )
    print(f"memory before: {before:.0f} MB, after: {_resident():.0f} MB")


def _resident():
    """Megabytes of memory that the process holds now (Linux)."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000


if __name__ == "__main__":
    run_command(main)
