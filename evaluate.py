"""Evaluates a trained encoder, beside an untrained encoder and chance: kNN, linear probes and more (--task).

python evaluate.py --encoder=runs/rgbd --data_dir=data/washington --task=knn,linear
"""

from keras_simsiam.core.command import run_command

from keras_simsiam.commands import evaluate

if __name__ == "__main__":
    run_command(evaluate.main, evaluate.define_flags)
