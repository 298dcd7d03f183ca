"""`python -m tfrecords.inspect` of earlier versions: `python -m tfrecords.show` under its old name."""

from absl import app

from keras_simsiam.core.errors import parse_flags
from tfrecords import show

if __name__ == "__main__":
    app.run(show.main, flags_parser=parse_flags)
