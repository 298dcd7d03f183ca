# Everything runs on a fresh machine that has Python 3.11 and nothing else: `make demo`, `make test`.
PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin/python
SEED ?= 0

.PHONY: demo test test-slow lint clean

# The stamp is younger than the requirements once they are installed.
$(VENV)/installed: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "error: Python 3.11 is needed (TensorFlow 2.15 has no wheels for newer ones), $(PYTHON) is not it:" \
	       "install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

# Synthetic RGB-D frames → shards → pre-training → evaluation → SavedModel, in demo/seed$(SEED)
demo: $(VENV)/installed
	@test -e demo/data/dataset.json || $(RUN) -m tfrecords.build --source=synthetic --split=instance --train_instances=4 \
	  --frames_per_instance=30 --output=demo/data
	$(RUN) train.py --flagfile=recipes/demo.flags --data_dir=demo/data --workdir=demo/seed$(SEED) --seed=$(SEED)
	$(RUN) evaluate.py --encoder=demo/seed$(SEED) --data_dir=demo/data --task=knn,linear
	$(RUN) -m export.encoder --workdir=demo/seed$(SEED) --output=demo/seed$(SEED)-serving
	@echo; echo "watch it: $(VENV)/bin/tensorboard --logdir=demo"

test: $(VENV)/installed
	$(RUN) -m pytest -n auto --maxprocesses 4 --dist loadfile

test-slow: $(VENV)/installed
	$(RUN) -m pytest -m slow

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

clean:
	rm -rf demo .pytest_cache .ruff_cache
