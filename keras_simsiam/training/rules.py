"""Flags of a run that do not go together: refused in one line before anything is built."""

import dataclasses
import math

from keras_simsiam.core.errors import UserError
from keras_simsiam.models import encoder, vit
from keras_simsiam.views import blur

# The methods that a flag has a meaning for.
OF_SOME_METHODS = {
    "symmetric": ("simsiam",),
    "stop_gradient": ("simsiam",),
    "alternation": ("simsiam",),
    "projector_layers": ("simsiam", "simsiam_average"),
    "head_batch_norm": ("simsiam", "simsiam_average"),
    "head_dropout": ("simsiam", "simsiam_average"),
    "predictor_lr": ("simsiam",),
    "queue_size": ("mocov2",),
}
# With several workers nothing else was ever tried of these.
_TRIED_WITH_WORKERS = {
    "positives": "augment",
    "compare": "joint",
    "head_dropout": 0.0,
    "alternation": 1,
    "cache": "none",
    "on_corrupt": "fail",
}


def check(config):
    """Refuse flags that contradict each other, or that would silently do nothing with the others.

    Each field has its own range and choices, which `settings.check` holds it to.

    Of the flags of HHA those that a recipe may hold are let pass with --modality=rgb, the control of that recipe.

    Args:
        config: a `RunConfig`.

    Raises:
        UserError: one line that names the flag and the remedy.
    """
    _check_backbone(config)
    _check_fusion(config)
    _check_depth_augmentation(config)
    _check_positives(config)
    _check_method(config)
    _check_optimization(config)
    _check_devices(config)
    _check_blur(config)
    _check_init(config)


def _check_backbone(config):
    """Refuse what the other kind of backbone has, and a patch that does not divide the image."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    is_vit = config.backbone in vit.BACKBONES
    for name in encoder.RESNET_SETTINGS if is_vit else encoder.VIT_SETTINGS:
        if getattr(config, name) != defaults[name]:
            raise UserError(f"`{name}` has no meaning for `backbone={config.backbone}`: leave it out")
    if is_vit:
        vit.check_size(config.image_size, config.patch)


def _check_fusion(config):
    """Refuse a fusion of one modality, and a gate without the mask it reads or the features it weighs."""
    if config.fusion != "two_tower" and config.modality != "rgbd":
        raise UserError(f"`fusion={config.fusion}` has no meaning for `modality={config.modality}`: leave it out")
    if not config.depth_gate:
        return
    if config.modality != "rgbd":
        raise UserError(f"`depth_gate` has no meaning for `modality={config.modality}`: leave it out")
    if config.fusion == "early":
        raise UserError("`depth_gate` weighs features of depth, `fusion=early` has none: use another `fusion`")
    if config.holes != "mask":
        raise UserError(f"`depth_gate` needs to know what was measured: use `holes=mask`, not {config.holes}")


def _check_depth_augmentation(config):
    """Refuse what would not reach the views, or leave nothing of them."""
    if config.modality == "hha" and config.hha_dropout:
        raise UserError("`hha_dropout` with `modality=hha` would leave nothing of a view; use it with `modality=rgbd`")
    for name in ("sensor_noise", "gravity_jitter"):
        if getattr(config, name) and config.modality == "rgb":
            raise UserError(f"`{name}` has no meaning for `modality=rgb`, which sees no depth: leave it out")
        if getattr(config, name) and config.cache != "none":
            raise UserError(f"`cache={config.cache}` keeps one HHA for all views: use `cache=none` with `{name}`")


def _check_positives(config):
    """Refuse next frames that a cache does not keep, and pairs of modalities where one is missing."""
    if config.positives == "next_frame" and config.cache != "none":
        raise UserError(f"`cache={config.cache}` keeps no recordings: use `cache=none` with `positives=next_frame`")
    if config.compare == "joint":
        return
    given = f"`compare={config.compare}`"
    for name, needed in (("modality", "rgbd"), ("method", "simsiam"), ("alternation", 1)):
        if getattr(config, name) != needed:
            raise UserError(f"{given}: needs `{name}={needed}`, not {getattr(config, name)}")
    if config.fusion == "early":
        raise UserError(f"{given} needs features of colour and of depth: use it without `fusion=early`")
    if config.hha_dropout:
        raise UserError(f"`hha_dropout` would leave no depth of a view to {given}: leave it out")


def _check_method(config):
    """Refuse what would silently do nothing, or cannot be."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name, methods in OF_SOME_METHODS.items():
        if config.method not in methods and getattr(config, name) != defaults[name]:
            raise UserError(f"`{name}` has no meaning for `method={config.method}`: leave it out")
    if config.alternation > 1 and not config.stop_gradient:
        raise UserError(
            f"`alternation={config.alternation}`: what a block of steps predicts is fixed; leave out `stop_gradient=false`"
        )
    if config.method == "simsiam_average" and config.on_corrupt == "skip":
        raise UserError(
            "`on_corrupt=skip` changes the places by which `method=simsiam_average` knows frames: use `on_corrupt=fail`"
        )
    if config.method == "mocov2" and config.queue_size < config.batch_size:
        raise UserError(f"`queue_size={config.queue_size}`: must hold a batch, {config.batch_size} keys")


def _check_optimization(config):
    """Refuse what the flags of the optimizer would promise and not do."""
    if config.predictor_lr not in ("cosine", "fixed") and not _is_factor(config.predictor_lr):
        raise UserError(f"`predictor_lr={config.predictor_lr}`: give cosine, fixed, or a factor such as 10")
    if config.optimizer == "lars" and config.decay != "weights":
        raise UserError("`optimizer=lars` has no L2 on BatchNorm and biases: give `decay=weights` with it")
    if config.optimizer == "lamb" and config.predictor_lr != "cosine":
        raise UserError(f"`predictor_lr={config.predictor_lr}` has no meaning with `optimizer=lamb`: leave it out")
    if config.optimizer == "sgd" and config.decay == "weights" and not config.weight_decay:
        raise UserError("`decay=weights` has no meaning with `weight_decay=0`: nothing decays; leave it out")
    if config.warmup_epochs >= config.epochs:
        raise UserError(
            f"`warmup_epochs={config.warmup_epochs:g}`: must be below `epochs={config.epochs}`, or the rate never falls"
        )


def _is_factor(text):
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


def _check_devices(config):
    """Refuse what does not go with several devices; whether the machine has what they need, a run finds out."""
    if config.jit_compile and config.distribution != "one":
        raise UserError(f"`jit_compile` is for one device: leave it out with `distribution={config.distribution}`")
    if config.distribution != "multiworker":
        return
    untried = ["method"] if config.method == "simsiam_average" else []
    untried += [name for name, tried in _TRIED_WITH_WORKERS.items() if getattr(config, name) != tried]
    if untried:
        name = untried[0]
        raise UserError(
            f"`{name}={getattr(config, name)}` was never tried with `distribution=multiworker`: leave it out"
        )


def _check_init(config):
    """Refuse a choice among towers of one, and what says more of starting weights where there are none."""
    for name, default in (("init_towers", "both"), ("init_sha256", "")):
        if getattr(config, name) != default and not config.init:
            raise UserError(f"`{name}={getattr(config, name)}` has no meaning without `init`: leave it out")
    if config.init_towers != "both" and (config.modality != "rgbd" or config.fusion != "two_tower"):
        raise UserError(
            f"`init_towers={config.init_towers}`: the encoder of `modality={config.modality}`, `fusion={config.fusion}` "
            "is one network; leave it out"
        )


def _check_blur(config):
    if config.blur and config.modality == "hha":
        raise UserError(
            f"`blur={config.blur}` has no meaning with `modality=hha`: only colour is blurred; leave it out"
        )
    if config.blur and not blur.radius(config.image_size):
        raise UserError(
            f"`blur={config.blur}`: the kernel, a tenth of `image_size={config.image_size}`, would be one pixel; "
            "leave it out"
        )
