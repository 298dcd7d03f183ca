"""The command that builds a data set on a cluster, by Apache Beam: python -m tfrecords.beam --source=... --runner=...

It takes the flags of tfrecords.build but --workers; all others go to Beam as they are.
"""

from functools import partial

from absl import app, flags

from keras_simsiam.core.errors import UserError, exit_on_user_error
from tfrecords import build

flags.adopt_module_key_flags(build)


@exit_on_user_error
def main(argv):
    if flags.FLAGS["workers"].present:
        raise UserError("--workers has no meaning on a cluster: its runner has a flag of its own")
    try:
        from tfrecords.cluster import Cluster
    except ModuleNotFoundError as error:
        if error.name != "apache_beam":
            raise
        raise UserError("Apache Beam is not installed: pip install -r requirements-beam.txt") from None
    # Beam drops those it does not know, a misspelt one of ours too.
    print("for Beam:", *argv[1:], flush=True)
    build.build(1, partial(Cluster, argv[1:]))


if __name__ == "__main__":
    app.run(main, flags_parser=lambda argv: flags.FLAGS(argv, known_only=True))
