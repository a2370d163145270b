"""The pages: server-rendered, over the same `studio` functions as the REST interface."""
