"""Depth images to HHA images: python -m tools.depth2hha --input='depth/*.png' --output=hha/ --units_per_metre=1000"""

from keras_simsiam.core.command import run_command

from keras_simsiam.commands import depth2hha

if __name__ == "__main__":
    run_command(depth2hha.main, depth2hha.define_flags)
