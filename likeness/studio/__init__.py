"""The studio: a workspace with datasets, runs, a library of LoRAs, and a queue. What page, API and MCP have in common.

Where `service` has verbs on files and folders, this remembers: what belongs to what, what is waiting, what was chosen.
"""
