import dataclasses
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from experiments import common, measure, method_table, predictor_lr, stop_gradient, weight_decay
from keras_simsiam.core.errors import UserError
from keras_simsiam.training.config import load_config

TINY = ("--modality=rgb", "--image_size=16", "--width=4", "--stem=cifar", "--batch_size=8", "--epochs=2")
WANTED = {"one": TINY, "two": (*TINY, "--weight_decay=0")}


@pytest.fixture
def settings(data_dir, tmp_path):
    return common.Settings(data_dir, str(tmp_path / "work"))


@pytest.fixture
def stubbed(monkeypatch, finish, made_up):
    """Training and measuring replaced: the list of the commands that were called."""
    called = []

    def train(command, log):
        called.append(command)
        finish(common._parse(command[1:]), with_encoder=False)
        return 0

    monkeypatch.setattr(common, "_call", train)
    monkeypatch.setattr(measure, "measure", lambda *arguments: made_up(30))
    return called


def test_trains_what_is_missing_once_and_reports_after_each(settings, stubbed):
    reported = []
    runs = common.Runs(settings)
    runs.ask(WANTED, (0, 3), lambda runs: reported.append(len(runs.missing())))
    assert reported == [3, 2, 1, 0, 0]
    assert [os.path.basename(command[-1]) for command in stubbed] == ["one", "two", "one_seed3", "two_seed3"]
    config = load_config(f"{settings.workdir}/runs/two_seed3")
    assert (config.seed, config.weight_decay, config.epochs) == (3, 0.0, 2)

    again = common.Runs(settings)
    again.ask(WANTED, (0,), lambda runs: None)
    assert len(stubbed) == 4 and set(again.measured) == {"one", "two"}


def test_none_reports_what_is_there_and_print_only_prints(settings, stubbed, finish, capsys):
    runs = common.Runs(common.Settings(settings.data_dir, settings.workdir, train="print"))
    runs.ask(WANTED, (0,), lambda runs: pytest.fail("nothing to report"))
    printed = capsys.readouterr().out.splitlines()
    assert printed == list(runs.commands.values()) and not os.path.exists(settings.workdir)
    assert shlex.split(printed[1])[:2] == ["python", "train.py"] and "--weight_decay=0" in printed[1]

    finish(common._parse(shlex.split(printed[1])[2:]), with_encoder=False)
    runs = common.Runs(common.Settings(settings.data_dir, settings.workdir, train="none"))
    runs.ask(WANTED, (0,), lambda runs: None)
    assert runs.missing() == ["one"] and set(runs.measured) == {"two"} and not stubbed
    runs.close()


def test_a_run_that_fails_does_not_keep_the_others_from_running(settings, stubbed, monkeypatch, capsys):
    train = common._call

    def fails_first(command, log):
        if command[-1].endswith("one"):
            log.write(b"epoch 1\repoch 2\nerror: --batch_size=8: too much\n")
            return 1
        return train(command, log)

    monkeypatch.setattr(common, "_call", fails_first)
    runs = common.Runs(settings)
    runs.ask(WANTED, (0,), lambda runs: None)
    assert set(runs.measured) == {"two"} and runs.missing() == ["one"]
    assert runs.failed["one"] == "train.py ended with status 1: error: --batch_size=8: too much"
    with pytest.raises(
        UserError, match=r"^1 of 2 runs failed \(one\), their logs are in .*: the same command tries again"
    ):
        runs.close()


def test_a_report_that_cannot_be_written_ends_the_command_and_is_no_runs_failure(settings, stubbed):
    def publish(runs):
        raise UserError("--workdir=work: cannot be written")

    runs = common.Runs(settings)
    with pytest.raises(UserError, match=r"^--workdir=work: cannot be written$"):
        runs.ask(WANTED, (0,), publish)
    assert not runs.failed and len(stubbed) == 1


def test_a_workdir_that_cannot_be_written_is_refused_before_anything_is_trained(
    settings, stubbed, data_dir, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    for workdir in (tmp_path / "file", tmp_path / "file" / "work"):
        message = rf"^--workdir={workdir} cannot be written \(.*\): make room, or choose another --workdir$"
        with pytest.raises(UserError, match=message):
            common.Runs(common.Settings(data_dir, str(workdir))).ask(WANTED, (0,), lambda runs: None)

    def refuse(dir):
        raise PermissionError(13, "Permission denied", dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)  # as for any user but root
    with pytest.raises(UserError, match=r"work cannot be written \(.*Permission denied.*\): make room"):
        common.Runs(settings).ask(WANTED, (0,), lambda runs: None)
    assert not stubbed


def test_refusals(settings, stubbed, finish, permuted_data_dir):
    with pytest.raises(UserError, match=r"train.py has no flag --telepathy"):
        common.Runs(settings).ask({"one": TINY, "two": ("--telepathy=1",)}, (0,), lambda runs: None)
    with pytest.raises(UserError, match="`width=0`: must be at least 1"):
        common.Runs(settings).ask({"one": TINY, "two": ("--width=0",)}, (0,), lambda runs: None)
    assert not stubbed  # before anything is trained

    common.Runs(settings).ask({"one": TINY}, (0,), lambda runs: None)
    with pytest.raises(UserError, match=r"another configuration .*`width=4` there, 8 now"):
        common.Runs(settings).ask({"one": (*TINY, "--width=8")}, (0,), lambda runs: None)
    other = common.Settings(permuted_data_dir, settings.workdir)
    with pytest.raises(UserError, match=r"one was trained on .*things: give that as --data_dir"):
        common.Runs(other).ask({"one": TINY}, (0,), lambda runs: None)
    with pytest.raises(UserError, match="no data set in nowhere"):
        common.Runs(common.Settings("nowhere", settings.workdir))


def test_the_runs_are_those_of_the_plain_commands():
    """What was trained by hand is taken up: names and flags, spelled out."""
    small = dict(method_table.EXPERIMENT.changes) | {
        name: ("--projector_layers=2", *own) for name, own in _swept().items()
    }
    wanted = common.variants("small", small, common.CIFAR10_SMALL, common.CIFAR10_PAPER)
    config = common._parse([*wanted["predictor_lr_10"], "--data_dir=d", "--workdir=w"])
    assert (config.predictor_lr, config.projector_layers, config.batch_size, config.base_lr) == ("10", 2, 128, 0.12)
    assert common._parse([*wanted["mocov2"], "--data_dir=d", "--workdir=w"]).queue_size == 4096
    assert common._parse([*wanted["weight_decay_1e-2"], "--data_dir=d", "--workdir=w"]).weight_decay == 0.01
    pair = common.variants("small", stop_gradient.CHANGES, stop_gradient.SMALL, stop_gradient.PAPER)
    config = common._parse([*pair["stop_gradient_off"], "--data_dir=d", "--workdir=w"])
    assert (config.stop_gradient, config.batch_size, config.base_lr, config.width) == (False, 512, 0.03, 16)


def test_a_command_line_is_read_as_train_py_reads_it(tmp_path, monkeypatch):
    (tmp_path / "outer.flags").write_text("--flagfile=recipes/cifar10_small.flags\n--epochs=3\n")
    monkeypatch.chdir(tmp_path)  # flagfiles are those of the repository all the same
    folders = ["--data_dir=d", "--workdir=w"]
    config = common._parse([f"--flagfile={tmp_path / 'outer.flags'}", "--hha_color", "--nosymmetric", *folders])
    small = common._parse([*common.CIFAR10_SMALL, *folders])
    assert config == dataclasses.replace(small, epochs=3, hha_color=True, symmetric=False)


def _swept():
    return predictor_lr.EXPERIMENT.changes | weight_decay.EXPERIMENT.changes


@pytest.mark.parametrize("scale", common.SCALES)
def test_every_run_is_one_that_train_py_accepts(scale):
    changes = dict(method_table.EXPERIMENT.changes) | {
        name: ("--projector_layers=2", *own) for name, own in _swept().items()
    }
    wanted = common.variants(scale, changes, common.CIFAR10_SMALL, common.CIFAR10_PAPER)
    pair = common.variants(scale, stop_gradient.CHANGES, stop_gradient.SMALL, stop_gradient.PAPER)
    for flags in (wanted | pair).values():
        config = common._parse([*flags, "--data_dir=d", "--workdir=w"])
        assert config.epochs == {"smoke": 2, "small": 20, "paper": 800}[scale]
    assert len(wanted) == (2 if scale == "smoke" else 10)


@pytest.mark.slow
def test_what_ends_the_experiment_ends_the_run(tmp_path):
    script = tmp_path / "sleeper.py"
    script.write_text("import os, sys, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n")
    log = tmp_path / "log"
    code = (
        "import signal, sys; from experiments import common; signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        f"common._call([{str(script)!r}], open({str(log)!r}, 'wb'))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=common.ROOT, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None and not (log.exists() and log.read_text().strip()):
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text()), 0)
