"""`python -m export.onnx` of earlier versions: `python -m export.to_onnx` under its old name."""

from keras_simsiam.core.command import run_command

from export import to_onnx

if __name__ == "__main__":
    run_command(to_onnx.main, to_onnx.define_flags)
