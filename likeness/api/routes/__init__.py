"""One module for each noun, each with a `router`."""

from likeness.api.routes import generations, jobs, keys, merges, models, settings, shares

ROUTERS = (
    jobs.router,
    keys.router,
    settings.router,
    generations.router,
    merges.router,
    models.router,
    shares.router,
)
