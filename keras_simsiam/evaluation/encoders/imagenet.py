"""keras.applications' ResNet-50, trained on ImageNet's labels, as an encoder, where its weights are on disk."""

from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.models import imagenet

STAGES = {f"c{stage}": f"conv{stage}_block{blocks}_out" for stage, blocks in ((2, 3), (3, 4), (4, 6), (5, 3))}

MIN_IMAGE_SIZE = 32  # pixels; keras.applications refuses less


def weights_file(image_size):
    """The path of the supervised network's weights.

    Args:
        image_size: the side of a view in pixels.

    Raises:
        UserError: the views are too small for the network; the weights are not on disk.
    """
    if image_size < MIN_IMAGE_SIZE:
        raise UserError(f"`image_size={image_size}`: `encoder=imagenet` takes at least {MIN_IMAGE_SIZE} pixels")
    return imagenet.weights_file("encoder")


def encoder(image_size, weights=None):
    """ResNet-50 as an encoder.

    Args:
        image_size: S.
        weights: path of a weights file; None: newly initialised.

    Returns:
        A functional model from {"rgb": float32 [B,S,S,3] in 0..1} to a dict of `embedding` [B,2048], `map` and `c2`…`c5`.
    """
    rgb = keras.Input((image_size, image_size, 3), name="rgb")
    bgr = keras.layers.Rescaling(255.0, [-mean for mean in imagenet.MEAN_BGR])(rgb[..., ::-1])
    network = keras.applications.ResNet50(include_top=False, weights=weights, input_shape=(image_size, image_size, 3))
    stages = {name: network.get_layer(layer).output for name, layer in STAGES.items()}
    maps = keras.Model(network.input, stages, name="resnet50")(bgr)
    embedding = keras.layers.GlobalAveragePooling2D(name="embedding")(maps["c5"])
    return keras.Model({"rgb": rgb}, maps | {"map": maps["c5"], "embedding": embedding}, name="imagenet_encoder")
