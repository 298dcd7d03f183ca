"""Everything that there is in a workdir as one HTML page: the experiments, the runs, and what evaluate.py found of them.

python -m experiments.report --workdir=runs/washington
"""

from keras_simsiam.core.command import run_command

from keras_simsiam.commands import report

if __name__ == "__main__":
    run_command(report.main, report.define_flags)
