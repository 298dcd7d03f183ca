"""The packaged texts of --help are what the flags give now."""

import json
import pathlib
import subprocess
import sys

from keras_simsiam.commands import main

ROOT = pathlib.Path(__file__).parents[2]


def test_the_packaged_help_is_that_of_the_flags():
    code = "import json, runpy; print(json.dumps(runpy.run_path('docs/write_help.py')['texts']()))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    texts = json.loads(found.stdout.splitlines()[-1])
    assert set(texts) == set(main.SUBCOMMANDS) == {path.stem for path in main.help_file("train").parent.glob("*.txt")}
    for name, text in texts.items():
        assert "\n  --" in text
        assert main.help_file(name).read_text() == text, f"{name}: run python docs/write_help.py"
