"""One module for each noun, each with a `router`."""

from likeness.api.routes import (
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
)

ROUTERS = (
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
)
