"""The command that builds a data set on a cluster, by Apache Beam: python -m tfrecords.beam --source=... --runner=...

It takes the flags of tfrecords.build but --workers; all others go to Beam as they are.
"""

from keras_simsiam.core.command import run_command

from functools import partial

from absl import flags

from keras_simsiam.core.errors import UserError
from tfrecords import build

flags.adopt_module_key_flags(build)


def main(beam_flags: list[str]) -> None:
    if flags.FLAGS["workers"].present:
        raise UserError("`workers` has no meaning on a cluster: its runner has a flag of its own")
    try:
        from tfrecords.cluster import Cluster
    except ModuleNotFoundError as error:
        if error.name != "apache_beam":
            raise
        raise UserError("Apache Beam is not installed: pip install '.[beam]'") from None
    # Beam drops those it does not know, a misspelt one of ours too.
    print("for Beam:", *beam_flags, flush=True)
    build.build(1, partial(Cluster, beam_flags))


if __name__ == "__main__":
    run_command(main, takes_arguments=True, passes_on_flags=True)
