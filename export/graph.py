"""An encoder with all its preprocessing as one TensorFlow graph, with a signature for each way to call it."""

import dataclasses
import inspect
import uuid

import tensorflow as tf

from export import checks
from export.signatures import SIGNATURES, inputs
from keras_simsiam.core.keras_compat import tf_variable
from keras_simsiam.dense.monodepth import frames, metrics
from keras_simsiam.probes.whitening import SHORTEST
from keras_simsiam.views.preprocessing import clean_view


@dataclasses.dataclass(frozen=True)
class Batching:
    """How requests that come at once share a run of the network (docs/serving.md).

    Attributes:
        max_batch_size: samples in one run; a larger request is split.
        threads: runs at a time. A request waits only where all of them are busy, and then joins others that wait.
    """

    max_batch_size: int = 32
    threads: int = 2


# Runs that may wait for a thread. More are refused with UNAVAILABLE, on which a client tries again.
_WAITING_RUNS = 64


def servable(encoder, preprocessing, batching=None, depth_network=None, scaling=None, parts=1):
    """Build the graph.

    Args:
        encoder: a functional model from a view to a dict with `embedding` and feature maps.
        preprocessing: the `Preprocessing` that the encoder was trained for.
        batching: a `Batching`, by default the one of its defaults.
        depth_network: a model from rgb float32 [B,S,S,3] to depth [B,S,S], metres (evaluation.monodepth.network), or None.
        scaling: a `probes.whitening.Scaling` of the embedding, or None.
        parts: equal parts of the embedding, each of one modality (`models.encoder.parts`), which the module remembers.

    Returns:
        (module, signatures) for `tf.saved_model.save`. The signatures, those of SIGNATURES, take what `inputs` lists, B
        samples along the first axis. `serving_default` and `tensors` return {"embedding": float32 [B,D]}: pooled features,
        not normalised; with a `scaling` also "whitened", the same scaled. `features_map` returns the encoder's maps, float32
        [B,h,w,C]; `depth`, where a network predicts it, {"depth": float32 [B,S,S]} in metres, clipped as evaluation does.
        They refuse a request with InvalidArgumentError as `checks` and `depth.camera.checked` do.
    """
    module, batching = tf.Module(), batching or Batching()
    # Only the variables: the layers would be saved with a function each, which nobody calls.
    module.parts = tf.Variable(parts, trainable=False)
    module.encoder_variables = [tf_variable(variable) for variable in encoder.variables]
    calls = _encoder_calls(encoder, preprocessing, batching)
    if scaling is not None:
        for name in ("serving_default", "tensors"):
            views, network = calls[name]
            calls[name] = views, _whitening(network, scaling)
    if depth_network is not None:
        module.depth_variables = [tf_variable(variable) for variable in depth_network.variables]
        calls["depth"] = _depth_call(depth_network, batching)
    rows = inputs(preprocessing.modality, depth_network is not None)
    return module, {name: _signature(rows[name], *calls[name]) for name in rows}


def _encoder_calls(encoder, preprocessing, batching):
    """By signature: a function from samples to views, and one from views to what of the encoder's features it returns."""
    size = preprocessing.image_size
    spec = {part: tf.TensorSpec([size, size, count], tf.float32) for part, count in preprocessing.channels.items()}
    views = {
        given: _mapped(lambda files, sample=sample: clean_view(sample(files), preprocessing), spec)
        for given, sample in _SAMPLES.items()
    }
    calls = {}
    for name, chosen in _CHOSEN.items():
        shapes = {key: feature.shape for key, feature in chosen(encoder.output).items()}
        network = _network(lambda view, chosen=chosen: chosen(encoder(view, training=False)), shapes, spec, batching)
        calls[name] = views[SIGNATURES[name].given], network
    return calls


def _embedding(features):
    return {"embedding": features["embedding"]}


def _whitening(network, scaling):
    """A network's features with the embedding as a `Scaling` has it; in float64, for a GPU may round float32 to 10 bits."""
    mean, matrix = (tf.constant(part, tf.float64) for part in (scaling.mean, scaling.matrix))

    def whitened(views):
        features = network(views)
        scaled = tf.matmul(tf.cast(features["embedding"], tf.float64) - mean, matrix)
        if scaling.parts > 1:
            apart = tf.reshape(scaled, [-1, scaling.parts, scaled.shape[1] // scaling.parts])
            apart /= tf.maximum(tf.norm(apart, axis=2, keepdims=True), SHORTEST)
            scaled = tf.reshape(apart, [-1, scaled.shape[1]])
        return features | {"whitened": tf.cast(scaled, tf.float32)}

    return whitened


def _maps(features):
    return {name: feature for name, feature in features.items() if name != "embedding"}


_CHOSEN = {"serving_default": _embedding, "tensors": _embedding, "features_map": _maps}


def _depth_call(depth_network, batching):
    """The same two functions, of colour at the depth network's own size."""
    size = depth_network.input_shape[1]
    spec = {"rgb": tf.TensorSpec([size, size, 3], tf.float32)}

    def view(files):
        return {"rgb": frames.centre_image(checks.image(files["image"]), size)}

    def predicted(view):
        depth = depth_network(view["rgb"], training=False)
        return {"depth": tf.clip_by_value(depth, metrics.NEAREST, metrics.FARTHEST)}

    return _mapped(view, spec), _network(predicted, {"depth": depth_network.output_shape}, spec, batching)


def _mapped(view, spec):
    """A function from samples, B along the first axis, to a view of B images."""
    # One after the other: images of a batch may differ in size, and HHA is computed before they are resized. A function of
    # its own, so that signatures share its graph.
    return tf.function(lambda samples: tf.map_fn(view, samples, fn_output_signature=spec), autograph=False)


def _signature(rows, views, network):
    """A function of the named inputs, with their defaults."""

    def serve(*args, **kwargs):
        return network(views(checks.batch(signature.bind(*args, **kwargs).arguments, rows)))

    # the names and defaults of the inputs, which saving reads as if they stood in the definition above
    signature = serve.__signature__ = inspect.Signature([_parameter(row) for row in rows])
    specs = [tf.TensorSpec(row.shape, row.dtype, row.name) for row in rows]
    return tf.function(serve, input_signature=specs, autograph=False)


def _parameter(row):
    default = inspect.Parameter.empty if row.default is None else tf.constant(row.default, row.dtype)
    return inspect.Parameter(row.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


def _network(compute, shapes, spec, batching):
    """`compute`, from views to a dict of tensors of known shapes, by which views of several requests are run as one batch.

    Here and not by the server's own batching: a server joins whole requests, so that one which is refused fails all those
    it was joined with, and images of different sizes cannot be joined at all.
    """

    @tf.nondifferentiable_batch_function(
        num_batch_threads=batching.threads,
        # of one request, however large; what is run at a time are the allowed sizes, all of them, so that nothing is padded
        max_batch_size=_WAITING_RUNS * batching.max_batch_size,
        allowed_batch_sizes=list(range(1, batching.max_batch_size + 1)),
        batch_timeout_micros=0,
        max_enqueued_batches=_WAITING_RUNS,
        enable_large_batch_splitting=True,
        autograph=False,
    )
    def batched(*images):
        features = compute(dict(zip(spec, images, strict=True)))
        return {name: tf.cast(tensor, tf.float32) for name, tensor in features.items()}

    def network(views):
        with tf.name_scope(f"network_{uuid.uuid4().hex}"):  # of one name, two models in one process would share a queue
            features = batched(*(views[part] for part in spec))
        return {name: tf.ensure_shape(features[name], shapes[name]) for name in features}

    return network


def _from_tensors(sample):
    """A sample of tensors as it is, once colour and depth are of one size."""
    return _one_size(sample, "rgb")


def _from_files(files):
    """A sample of encoded images as a sample of tensors."""
    sample = {key: files[key] for key in ("intrinsics", "gravity") if key in files}
    if "image" in files:
        sample["rgb"] = checks.image(files["image"])
    if "depth" in files:
        sample["depth"] = tf.cast(checks.depth(files["depth"]), tf.float32) / files["units_per_metre"]
    return _one_size(sample, "image")


_SAMPLES = {"tensors": _from_tensors, "files": _from_files}


def _one_size(sample, image_name):
    if not {"rgb", "depth"} <= set(sample):
        return sample
    same_size = checks.same_size(sample["rgb"], sample["depth"], image_name)
    with tf.control_dependencies([same_size]):  # or joining them may fail first, with a sentence of its own
        return sample | {"rgb": tf.identity(sample["rgb"])}
