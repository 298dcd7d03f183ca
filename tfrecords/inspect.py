"""`python -m tfrecords.inspect` of earlier versions: `python -m tfrecords.show` under its old name."""

from keras_simsiam.core.command import run_command

from tfrecords import show

if __name__ == "__main__":
    run_command(show.main, takes_arguments=True)
