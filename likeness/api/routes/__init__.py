"""One module for each noun, each with a `router`."""

from likeness.api.routes import jobs, keys, settings

ROUTERS = (jobs.router, keys.router, settings.router)
