"""The REST interface, under `/api/v1`: each route parses, calls `studio` or `service`, and shapes what comes back."""
