"""One module for each noun, each with a `router`."""

from likeness.api.routes import jobs

ROUTERS = (jobs.router,)
