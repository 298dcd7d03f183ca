"""Trains an encoder without labels: python train.py --flagfile=rgbd.flags --data_dir=data/washington --workdir=runs/rgbd"""

from keras_simsiam.core.command import run_command

from keras_simsiam.commands import recipes, train

if __name__ == "__main__":
    run_command(train.main, train.define_flags, expand=recipes.expand)
