"""`python -m export.onnx` of earlier versions: `python -m export.to_onnx` under its old name."""

from absl import app

from export import to_onnx
from keras_simsiam.core.errors import parse_flags

if __name__ == "__main__":
    to_onnx.define_flags()
    app.run(to_onnx.main, flags_parser=parse_flags)
