"""Frames as colour, depth and HHA channels, by what becomes of missing depth (Zhu, Figures 3 and 5); trains nothing.

python -m experiments.hha_gallery --data_dir=data/washington --workdir=runs/washington
"""

import numpy as np

from experiments import common, frame_grid, report_parts
from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import holes
from tfrecords import Dataset

NAME, TITLE = "hha_gallery", "HHA by what becomes of holes"
LOOKED_AT = {"smoke": 8, "small": 64, "paper": 64}
CHANNELS = ("disparity", "height", "angle")
COLUMNS = {  # encoding and holes, by title
    "paper: holes none": ("paper", "none"),
    "neutral": ("paper", "neutral"),
    "nearest": ("paper", "nearest"),
    "inpaint": ("paper", "inpaint"),
    "gupta: holes none": ("gupta", "none"),
}


def main(settings):
    """Draws three of many training frames, by how much of their depth is missing."""
    dataset = Dataset(settings.data_dir)
    if not dataset.has_depth:
        raise UserError(f"--data_dir={settings.data_dir} has no depth: give a data set with depth")
    looked_at = frame_grid.evenly(dataset, "train", LOOKED_AT[settings.scale])
    looked_at.sort(key=missing)
    last = len(looked_at) - 1
    chosen = [looked_at[place] for place in sorted({last // 2, 9 * last // 10, last})]
    facts = [_facts(sample) for sample in chosen]
    header = ["frame", "pixels", "depth missing, %", "median depth, m", "gravity"]
    rows = [[fact["frame"], fact["pixels"], f"{fact['missing']:.1f}", _metres(fact), fact["gravity"]] for fact in facts]
    text = [
        f"Of {len(looked_at)} training frames, evenly spaced and ordered by how much of their depth is missing (grey), the "
        "median, the 90th percentile and the last. A channel's 0 is black and its 255 white; `HHA` has disparity, height and "
        "angle as red, green and blue. `paper` is the encoding of Zhu, section 3.2, stretched per frame, `gupta` that "
        "of Gupta et al. 2014, in fixed units (what is nearer than 1.2 m has the disparity 255). `none`, `neutral`, `nearest` "
        "and `inpaint` are choices of `--holes` (docs/holes.md); `mask` is `none` with `measured` beside it.",
        report_parts.table(header, rows),
    ]
    pictures = [row for sample in chosen for row in picture_rows(sample)]
    report_parts.save(settings, dataset, NAME, TITLE, text, {TITLE: frame_grid.grid(pictures)}, {"frames": facts})


def missing(sample):
    """The share of a Sample's pixels without depth, in percent."""
    return 100 * float(np.mean(sample["depth"].numpy() <= 0))


def picture_rows(sample):
    """The pictures of one frame: a row a channel of HHA, and one of all as a colour image.

    Args:
        sample: a Sample with depth.

    Returns:
        Four rows as `frames.grid` takes them: colour, depth, where it was measured, nothing; then a column of each of COLUMNS.
    """
    depth = sample["depth"].numpy()
    left = [
        ("colour", sample["rgb"].numpy() / 255),
        ("depth", np.where(depth > 0, depth, np.nan)),
        ("measured", np.repeat((depth > 0).astype(np.float32)[..., None], 3, -1)),
        None,
    ]
    encoded = {title: _encoded(sample, *choice) for title, choice in COLUMNS.items()}
    rows = [
        [
            left[row],
            *((f"{title}, {name}" if not row else name, _gray(image[..., row])) for title, image in encoded.items()),
        ]
        for row, name in enumerate(CHANNELS)
    ]
    return [*rows, [left[3], *(("HHA", image) for image in encoded.values())]]


def _encoded(sample, encoding, choice):
    """HHA of a sample, float32 [H,W,3] in 0..1."""
    camera = sample["intrinsics"], sample["gravity"]
    return holes.encode(sample["depth"], *camera, encoding=encoding, holes=choice).numpy() / 255


def _gray(channel):
    return np.repeat(channel[..., None], 3, -1)


def _facts(sample):
    depth = sample["depth"].numpy()
    measured = depth[depth > 0]
    return {
        "frame": sample["frame"].numpy().decode(),
        "pixels": f"{depth.shape[1]} × {depth.shape[0]}",
        "missing": missing(sample),
        "median": float(np.median(measured)) if measured.size else None,
        "gravity": "given" if np.any(sample["gravity"].numpy()) else "estimated",
    }


def _metres(fact):
    return "–" if fact["median"] is None else f"{fact['median']:.2f}"


if __name__ == "__main__":
    common.command(main)
