"""One module for each group of pages, each with a `router`."""

from likeness.web.routes import generate, home, library, login, merge, queue, settings, shared

PAGES = (
    home.router,
    library.router,
    generate.router,
    merge.router,
    shared.router,
    queue.router,
    settings.router,
    login.router,
)
