"""One module for each group of pages, each with a `router`."""

from likeness.web.routes import (
    dataset_panel,
    datasets,
    generate,
    home,
    library,
    login,
    merge,
    queue,
    runs,
    settings,
    shared,
    train,
)

PAGES = (
    home.router,
    train.router,
    runs.router,
    dataset_panel.router,
    datasets.router,
    library.router,
    generate.router,
    merge.router,
    shared.router,
    queue.router,
    settings.router,
    login.router,
)
