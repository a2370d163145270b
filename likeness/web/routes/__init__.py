"""One module for each group of pages, each with a `router`."""

from likeness.web.routes import home

PAGES = (home.router,)
