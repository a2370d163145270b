# A fresh machine needs python3 >= 3.11 with venv, and make. `make demo` and `make test` do everything else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# One exact version: a range would take whatever is newest. On Linux pip takes the CUDA build unless told otherwise:
#   make setup TORCH_INDEX=<index of the wanted wheels>
TORCH  ?= torch==2.13.0
TORCH_INDEX ?=
DEMO   ?= runs
JOBS   ?= 3
# Where this is set, each of the suite's hundreds of processes would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test test-long screens check types bench bench-waiting bench-starting learning scorecard-validation voice-quality starter starter-distilled starter-companions starter-examples starter-quality docs clean fuzz fuzz-api bench-large
setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q $(TORCH) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	$(BIN)/python -m pip install -q -e ".[train,tagger,starter,voice,dev]"
	touch $@

# Train the shipped example on the shipped base; prints where the grid, the report and the LoRAs are.
demo: setup
	@test ! -e $(DEMO)/mika/run.json || echo "$(DEMO)/mika is there already: going on with it"
	$(BIN)/likeness train examples/character/mika.yaml --workspace $(DEMO) $(if $(wildcard $(DEMO)/mika/run.json),--resume)

# More at a time than there are cores, since tests often wait for processes. Each file by one, in their order: the few
# that take long would else come last, one after the other.
test: setup
	$(BIN)/python -m pytest -q -m "not long" -n $(JOBS) --dist loadscope --no-loadscope-reorder

# Whole ways through real processes, and sweeps: what is left out of the other.
test-long: setup
	$(BIN)/python -m pytest -q -m long -n $(JOBS)

# The pictures of the studio in docs/images, by the tests that walk through it from end to end (some 6 minutes).
screens: setup
	LIKENESS_SCREENS=$(CURDIR)/docs/images $(BIN)/python -m pytest -q tests/browser/test_studio_walk.py tests/browser/test_studio_voice.py -k "desk"

# Lint, format and types.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# Training speed and memory beside a plain diffusers + peft loop.
bench: setup
	$(BIN)/python -m benchmarks.training

# How a worker's threads should wait for one another: what it brings, and what it costs beside other work.
bench-waiting: setup
	$(BIN)/python -m benchmarks.waiting

# How much sooner a picture is there when the studio's worker is forked, or has stayed with its base.
bench-starting: setup
	$(BIN)/python -m benchmarks.starting

# How far the example's trait is learned, epoch by epoch, and how far it leaks.
learning: setup
	$(BIN)/python -m benchmarks.learning

# Does the scorecard say what is true? Some 30 runs with a planted fault (hours on two cores; goes on where it stopped).
scorecard-validation: setup
	$(BIN)/python -m benchmarks.scorecard_validation --seeds sealed

# How like the speaker and how clear cloned voices are; fetches recordings (CC BY 4.0) and what listens to them.
voice-quality: setup
	$(BIN)/python -m pip install -q --no-deps resemblyzer pocketsphinx
	$(BIN)/python -m benchmarks.voice_quality

# Pretrain the starter base model from nothing (hours on two cores), and render the examples.
starter: setup
	$(BIN)/python -m starter_recipe.vae
	$(BIN)/python -m starter_recipe.transformer
	$(BIN)/python -m starter_recipe.card

# A variant of the finished starter that draws in 4 steps (build/distill/starter).
starter-distilled: setup
	$(BIN)/python -m starter_recipe.distill

# Train what looks at pictures beside it: CLIP, captioner, instructor, upscaler (an hour and a half on two cores).
starter-companions: setup
	$(BIN)/python -m starter_recipe.companions.clip
	$(BIN)/python -m starter_recipe.companions.captioner
	$(BIN)/python -m starter_recipe.companions.instructor
	$(BIN)/python -m starter_recipe.companions.upscaler
	$(BIN)/python -m starter_recipe.companions.measure --cards

starter-examples: setup
	$(BIN)/python -m starter_recipe.examples

# How good the starter is: reconstruction, prompts, edits, LoRAs, captioner, sizes (about an hour).
starter-quality: setup
	$(BIN)/python -m benchmarks.starter_quality

# Hostile datasets by the thousand, ten minutes of them.
fuzz: setup
	$(BIN)/python -m benchmarks.fuzz_dataset --minutes 10

# Every operation of the REST interface, asked for in hundreds of right and wrong ways.
fuzz-api: setup
	FUZZ_EXAMPLES=$(or $(EXAMPLES),300) $(BIN)/python -m pytest -q tests/api/test_openapi.py

# Index, check and plan 100,000 pictures: speed and memory.
bench-large: setup
	$(BIN)/python -m benchmarks.large_dataset

# Write the generated reference pages.
docs: setup
	$(BIN)/python -m docs.generate

clean:
	rm -rf $(VENV) build dist
