import numpy as np
import pytest
from scipy import stats

from keras_simsiam.probes import bootstrap


def test_independent_frames_follow_the_binomial_law():
    """Blocks of one frame, the second always wrong: the resampled difference is binomial, Efron & Tibshirani 1993, 5.2."""
    count, right = 200, 130
    first = np.arange(count) < right
    found = bootstrap.compare([first], [np.zeros(count)], np.arange(count))
    expected = stats.binom.ppf([0.025, 0.975], count, right / count) / count
    assert found.difference == pytest.approx(right / count)
    np.testing.assert_allclose(found.interval, expected, atol=1.01 / count)
    assert found.verdict == "differs" and found.blocks == count


def test_paired_frames_have_the_variance_of_their_differences():
    random = np.random.default_rng(0)
    first = random.random(1000) < 0.7
    second = np.where(random.random(1000) < 0.9, first, random.random(1000) < 0.5)  # agree on most frames
    found = bootstrap.compare([first], [second], np.arange(1000))
    difference = first.astype(float) - second
    half = 1.96 * difference.std() / np.sqrt(1000)
    np.testing.assert_allclose(found.interval, [difference.mean() - half, difference.mean() + half], atol=0.003)


def test_blocks_of_unequal_size_weigh_by_their_frames():
    """The resamples of seven blocks, enumerated: a ratio of sums, not a mean of blocks' means."""
    sizes = np.array([1, 2, 3, 4, 5, 6, 7])
    right = np.array([1, 0, 3, 1, 2, 6, 0])
    blocks = np.repeat(np.arange(7), sizes)
    first = np.concatenate([np.arange(size) < hits for size, hits in zip(sizes, right, strict=True)])
    found = bootstrap.compare([first], [np.zeros(28)], blocks)
    drawn = np.stack(np.meshgrid(*[np.arange(7)] * 7)).reshape(7, -1)
    exact = np.quantile(right[drawn].sum(axis=0) / sizes[drawn].sum(axis=0), [0.025, 0.975])
    assert found.difference == pytest.approx(13 / 28)
    np.testing.assert_allclose(found.interval, exact, atol=0.02)


def test_all_ties_and_one_block():
    same = np.arange(40) % 3 == 0
    found = bootstrap.compare([same], [same], np.arange(40) // 4)
    assert (found.difference, found.interval, found.verdict) == (0, (0, 0), "tie")
    alone = bootstrap.compare([np.ones(40)], [np.zeros(40)], np.zeros(40))
    assert (alone.difference, alone.interval, alone.blocks, alone.verdict) == (1, (-1, 1), 1, "tie")
    assert bootstrap.compare([np.ones(40)], [np.zeros(40)], np.arange(40) // 8).verdict == "tie"  # five blocks
    assert bootstrap.compare([np.ones(40)], [np.zeros(40)], np.arange(40) // 7).verdict == "differs"  # six


def _simulated(random, blocks, length, gap):
    """Two classifiers whose errors run on within a block: each is right on most of a block, or wrong on most of it."""
    easy = random.random((2, blocks, 1)) < np.array([0.6 + gap, 0.6])[:, None, None]
    frames = random.random((2, blocks, length))
    return np.where(easy, frames < 0.95, frames < 0.05).reshape(2, 1, -1)


@pytest.mark.slow
def test_coverage_on_simulated_recordings(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 1000)
    random, gap, length = np.random.default_rng(1), 0.1, 10
    covered = {"blocks": 0, "frames": 0}
    trials = 300
    for _ in range(trials):
        first, second = _simulated(random, 40, length, gap)
        for name, blocks in (("blocks", np.arange(400) // length), ("frames", np.arange(400))):
            low, high = bootstrap.compare(first, second, blocks).interval
            covered[name] += low <= 0.9 * gap <= high  # right on 0.95 or 0.05 of a block: 0.9 of the blocks' gap
    # 0.95 nominal, a little less with 40 blocks; three standard errors of 300 trials are 0.04
    assert 0.90 <= covered["blocks"] / trials <= 0.99
    assert covered["frames"] / trials < 0.7


def test_seeds_that_disagree_widen_the_interval():
    random = np.random.default_rng(2)
    blocks = np.arange(300)
    steady = random.random((3, 300)) < 0.7
    unsteady = random.random((3, 300)) < np.array([0.5, 0.7, 0.9])[:, None]
    other = random.random((3, 300)) < 0.7
    narrow = bootstrap.compare(steady, other, blocks).interval
    wide = bootstrap.compare(unsteady, other, blocks).interval
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])
    seeds = unsteady.mean(axis=1)
    assert wide[1] - wide[0] > 2 * 1.96 * seeds.std() / np.sqrt(3) * 0.9


def test_equal_seeds_change_nothing_else():
    random = np.random.default_rng(3)
    first, second = random.random((2, 1, 200)) < 0.6
    once = bootstrap.compare(first, second, np.arange(200) // 5)
    thrice = bootstrap.compare(np.repeat(first, 3, 0), np.repeat(second, 3, 0), np.arange(200) // 5)
    assert once.difference == pytest.approx(thrice.difference)
    np.testing.assert_allclose(once.interval, thrice.interval, atol=0.01)


@pytest.mark.parametrize(
    ("first", "second", "blocks"),
    [
        (np.ones(3), np.ones(3), np.arange(3)),
        (np.ones((1, 3)), np.ones((1, 4)), np.arange(3)),
        (np.ones((1, 3)), np.ones((1, 3)), np.arange(4)),
        (np.ones((0, 3)), np.ones((1, 3)), np.arange(3)),
        (np.ones((1, 0)), np.ones((1, 0)), np.arange(0)),
    ],
)
def test_shapes_that_do_not_fit(first, second, blocks):
    with pytest.raises(ValueError):
        bootstrap.compare(first, second, blocks)


def test_neighbours_are_consecutive_frames_of_a_recording():
    frames = ["ball_2_2_11", "ball_2_2_6", "ball_2_2_101", "ball_2_2_1", "cup_1_2_6", "cup_1_2_1", "lone", "7"]
    blocks = bootstrap.neighbours(frames, 2)
    assert blocks[1] == blocks[3] != blocks[0] == blocks[2]  # by number: 1, 6 | 11, 101
    assert blocks[4] == blocks[5]
    assert len(set(blocks)) == 5 and blocks.dtype == np.int64
    assert bootstrap.neighbours([], 3).shape == (0,)
