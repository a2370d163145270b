"""The job 'publish': upload a folder to a repository on the hub. Reads `job.json`, writes `result.json`."""

import json
from pathlib import Path
from typing import Any

import httpx2 as httpx  # what huggingface_hub is built on
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from likeness import __version__, durable
from likeness.errors import InputError, LikenessError
from likeness.events import EventLog, Stage

_REFUSED = (401, 403)


def run(folder: Path) -> int:
    """`job.json`: folder, repository, private. The token is the hub library's own business."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    log = EventLog(folder / "events.jsonl")
    repository = str(job["repository"])
    api = HfApi(library_name="likeness", library_version=__version__)
    log.write(Stage(name="uploading"))
    try:
        made = api.create_repo(repository, private=bool(job["private"]), exist_ok=True, repo_type="model")
        commit = api.upload_folder(
            repo_id=made.repo_id, folder_path=job["folder"], repo_type="model", commit_message="Upload with Likeness"
        )
    except HfHubHTTPError as e:
        status = e.response.status_code
        if status in _REFUSED:
            raise InputError(
                f"repository: the hub lets nobody with this token write to {repository} ({status}). Fix: set HF_TOKEN "
                "to one that may write there, or name another repository"
            ) from e
        raise LikenessError(f"the hub answered {status}: {e.server_message or e}. Fix: try again later") from e
    except (httpx.HTTPError, OfflineModeIsEnabled, OSError) as e:
        raise LikenessError(f"the hub cannot be reached ({e}). Fix: check the connection, and try again") from e
    result = {"repository": made.repo_id, "url": str(made), "commit": commit.oid}
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0
