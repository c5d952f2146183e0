# make book    from nothing to the rendered book in book/_build/html: installs into .venv, runs the default study
# make test    the tests
# make study STUDY=minilm    another study of studies/, and its book
# make check-book    open every page of the book in headless Chromium
# make clean   remove the book and the default study's results; other studies' results and .venv stay

STUDY ?= classroom
PYTHON ?= python3
# On a machine without a GPU, PyTorch's own CPU index saves downloading CUDA: name it in PIP_EXTRA_INDEX_URL.

export OMP_NUM_THREADS ?= 1
READY := .venv/installed

.PHONY: book study test check-book clean

book: $(READY)
	@.venv/bin/skillkit run classroom --book

study: $(READY)
	@.venv/bin/skillkit run $(STUDY) --book

test: $(READY)
	@.venv/bin/pytest -n auto

check-book: $(READY)
	@.venv/bin/skillkit check-book

clean:
	rm -rf build book/_build results/classroom

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Needs Python 3.11: make book PYTHON=python3.11")'
	@echo "Installing into .venv, once; this takes some minutes."
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@
