"""The peak of memory, in 10⁶ bytes."""

import numpy as np

from keras_simsiam.training.monitors import Memory


def _measured():
    logs = {}
    Memory().on_epoch_end(0, logs)
    return logs["memory_mb"]


def test_the_peak_grows_by_what_is_taken_and_stays():
    with open("/proc/self/status") as file:
        resident = next(int(line.split()[1]) * 1024 / 1e6 for line in file if line.startswith("VmRSS"))
    before = _measured()
    assert before >= 0.99 * resident
    taken = np.ones(round(before - resident + 200) * 125_000)  # 200 MB above the highest so far
    after = _measured()
    assert after - before > 150
    del taken
    assert _measured() >= after
