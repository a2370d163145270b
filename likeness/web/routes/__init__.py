"""One module for each group of pages, each with a `router`."""

from likeness.web.routes import home, library, login, queue, settings

PAGES = (home.router, library.router, queue.router, settings.router, login.router)
