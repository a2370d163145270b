"""Every setting of a run, declared once: name, default, bound and help text.

`run.RunConfig` is the whole tree; `load.read_config` fills it from a YAML file; `plan` counts and advises.
"""
