"""Trains a completion of depth for --holes=learned: python -m tools.depth_completion --data_dir=data/nyu --output=models"""

from keras_simsiam.core.command import run_command

from keras_simsiam.commands import depth_completion

if __name__ == "__main__":
    run_command(depth_completion.main, depth_completion.define_flags)
