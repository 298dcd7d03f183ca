import numpy as np
import pytest

from keras_simsiam.probes import turntable
from keras_simsiam.probes.turntable import Recording


def turn(count, start=0.0, name="cup_1_1"):
    angles = (start + 2 * np.pi * np.arange(count) / count) % (2 * np.pi)
    return Recording(name, "cup_1", np.arange(count), angles)


def embedding(angles, noise=0.0, seed=0):
    """Features from which a linear map finds the angle, mixed with others: float [n,12]."""
    random = np.random.default_rng(seed)
    mix = random.normal(size=(2, 12))
    return 5 + np.stack([np.sin(angles), np.cos(angles)], 1) @ mix + noise * random.normal(size=(len(angles), 12))


def test_names_give_a_turn_of_each_recording():
    names = [f"cup_1_2_{number}" for number in range(41, 0, -5)] + [f"cup_1_1_{number}" for number in range(1, 9)]
    found, left_out = turntable.turns([*names, "portrait", "cup_2_1_1", "cup_2_1_2"])
    assert [one.name for one in found] == ["cup_1_1", "cup_1_2"] and left_out == ["cup_2_1"]
    assert {one.object for one in found} == {"cup_1"}
    # nine frames, 1 to 41 by 5: a turn is 45 numbers long
    np.testing.assert_allclose(found[1].angles, 2 * np.pi * np.arange(1, 42, 5) / 45)
    assert [names[place] for place in found[1].places] == [f"cup_1_2_{number}" for number in range(1, 42, 5)]


def test_a_recording_with_a_gap_is_left_out():
    names = [f"cup_1_1_{number}" for number in [*range(1, 10), *range(30, 40)]]
    assert turntable.turns(names) == ([], ["cup_1_1"])
    assert turntable.turns([]) == ([], [])
    almost = [f"cup_1_1_{number}" for number in range(1, 41) if number != 20]
    assert len(turntable.turns(almost)[0]) == 1


@pytest.mark.parametrize("first, second", [(0.1, -0.1), (3.1, -3.1), (6.2, 0.0), (0.0, np.pi), (-7.0, 11.0)])
def test_the_short_way_round(first, second):
    found = turntable.difference(first, second)
    assert -np.pi <= found <= np.pi
    assert np.exp(1j * found) == pytest.approx(np.exp(1j * (first - second)))


def test_a_constant_rotation_is_taken_off():
    random = np.random.default_rng(0)
    residuals = random.normal(0, 0.2, 50)
    for rotation in (0.0, 1.0, 3.0, -2.5):
        found = turntable.aligned(turntable.difference(residuals + rotation, 0))
        assert abs(np.angle(np.mean(np.exp(1j * found)))) < 1e-9
        np.testing.assert_allclose(found, turntable.aligned(residuals), atol=1e-9)


def test_an_embedding_of_the_angle_gives_it_within_and_across():
    one, other = turn(30), turn(25, start=1.0, name="cup_1_2")
    other = Recording("cup_1_2", "cup_1", 30 + other.places, other.angles)
    features = embedding(np.concatenate([one.angles, other.angles + 2.0]))  # its turn began elsewhere
    assert np.abs(np.degrees(turntable.errors(features, one, one))).max() < 3
    assert np.abs(np.degrees(turntable.errors(features, one, other))).max() < 3


def test_features_of_nothing_are_as_good_as_chance_and_no_worse():
    """With an intercept they would predict the opposite of what is held out."""
    one = turn(40)
    errors = [turntable.errors(np.random.default_rng(seed).normal(size=(40, 64)), one, one) for seed in range(20)]
    assert 75 < np.degrees(np.median(np.abs(errors))) < 105
    constant = turntable.errors(np.ones([40, 8]), one, one)
    assert np.isfinite(constant).all()


def test_a_shuffled_turn_has_the_same_angles_and_nothing_to_find():
    one = turn(60)
    (mixed,) = turntable.shuffled([one], 3)
    np.testing.assert_allclose(np.sort(mixed.angles), np.sort(one.angles))
    assert np.degrees(np.median(np.abs(turntable.errors(embedding(one.angles), mixed, mixed)))) > 60


def test_recordings_are_paired_within_objects_only():
    turns = [Recording(name, name[:-2], np.arange(8), np.zeros(8)) for name in ("a_1_1", "a_1_2", "a_2_1")]
    found = turntable.pairs(turns)
    names = {way: [(learnt.name, tested.name) for learnt, tested in of_way] for way, of_way in found.items()}
    assert names["within"] == [("a_1_1", "a_1_1"), ("a_1_2", "a_1_2"), ("a_2_1", "a_2_1")]
    assert names["across"] == [("a_1_1", "a_1_2"), ("a_1_2", "a_1_1")]


def test_names_as_washington_has_them():
    """apple_1_1 and what there is of ball_3_2 in the sample of it: every fifth frame, and of the second seven in all."""
    apple = [f"apple_1_1_{number}" for number in range(1, 207, 5)]
    found, left_out = turntable.turns(
        [*apple, *(f"ball_3_2_{number}" for number in (11, 101, 106, 111, 116, 121, 126))]
    )
    assert [one.name for one in found] == ["apple_1_1"] and left_out == ["ball_3_2"]
    np.testing.assert_allclose(np.diff(found[0].angles), 2 * np.pi / 42)
