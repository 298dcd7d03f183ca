# Everything runs on a fresh machine that has Python 3.11, 3.12 or 3.13 and nothing else: `make demo`, `make test`.
SUPPORTED = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
VENV := .venv
RUN := $(VENV)/bin/python
SEED ?= 0

# The Python that $(VENV) has; without one the newest that starts: a name on the PATH may be a shim of nothing.
ifndef PYTHON
PYTHON := $(shell for python in $(RUN) python3.13 python3.12 python3.11 python3 python; do \
  $$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
endif
# one stamp for each Python: with another, $(VENV) is made again
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
INSTALLED := $(VENV)/installed-$(VERSION)

.PHONY: demo test test-slow lint clean

# The stamp is younger than the requirements once they are installed.
$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c '$(SUPPORTED)' 2>/dev/null || { echo "error: this needs Python 3.11, 3.12 or 3.13;" \
	  "$(if $(PYTHON),$(PYTHON) is $(or $(VERSION),not a Python that starts),none is on the PATH):" \
	  "install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	@test "$$($(RUN) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = $(VERSION) || \
	  { rm -f $(VENV)/installed*; $(PYTHON) -m venv --clear $(VENV); }
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# Synthetic RGB-D frames → shards → pre-training → evaluation → SavedModel, in demo/seed$(SEED)
demo: $(INSTALLED)
	@test -e demo/data/dataset.json || $(RUN) -m tfrecords.build --source=synthetic --split=instance --train_instances=4 \
	  --frames_per_instance=30 --output=demo/data
	$(RUN) train.py --flagfile=recipes/small.flags --epochs=40 --hha_dropout=0.3 --data_dir=demo/data --workdir=demo/seed$(SEED) \
	  --seed=$(SEED)
	$(RUN) evaluate.py --encoder=demo/seed$(SEED) --data_dir=demo/data --task=knn,linear
	$(RUN) -m export.encoder --workdir=demo/seed$(SEED) --output=demo/seed$(SEED)-serving
	@echo; echo "watch it: $(VENV)/bin/tensorboard --logdir=demo"

test: $(INSTALLED)
	$(RUN) -m pytest -n auto --maxprocesses 4 --dist loadfile

test-slow: $(INSTALLED)
	$(RUN) -m pytest -m slow

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

clean:
	rm -rf demo .pytest_cache .ruff_cache
