"""Depth for data of colour alone: python -m tools.pseudo_depth --data_dir=data/photos --model=MODEL --output=data/depth"""

from keras_simsiam.core.command import run_command

from keras_simsiam.commands import pseudo_depth

if __name__ == "__main__":
    run_command(pseudo_depth.main, pseudo_depth.define_flags)
