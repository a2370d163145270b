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
    voice_new,
    voice_run,
    voice_train,
    voices,
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
    voice_new.router,  # before the pages of single voices: its addresses are no ids
    voice_train.router,
    voice_run.router,
    voices.router,
    shared.router,
    queue.router,
    settings.router,
    login.router,
)
