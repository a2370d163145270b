"""One module for each group of pages, each with a `router`."""

from likeness.web.routes import home, queue

PAGES = (home.router, queue.router)
