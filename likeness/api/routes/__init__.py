"""One module for each noun, each with a `router`."""

from likeness.api.routes import (
    dataset_pictures,
    dataset_words,
    datasets,
    generations,
    imports,
    jobs,
    keys,
    machine,
    merges,
    models,
    run_results,
    runs,
    settings,
    shares,
    voice_runs,
)

ROUTERS = (
    dataset_pictures.router,
    dataset_words.router,
    datasets.router,
    jobs.router,
    keys.router,
    settings.router,
    generations.router,
    imports.router,
    merges.router,
    machine.router,
    models.router,
    runs.router,
    run_results.router,
    shares.router,
    voice_runs.router,
)
