"""The tables and figures of the papers, a file each."""

import keras_simsiam.core.command  # noqa: F401

from keras_simsiam.commands.report_order import NAMES  # noqa: F401
