"""What is done when a job has finished, by its verb: all rooms of the studio in one table."""

from likeness.studio import comparing, generations, merges, publishing, recordings, said, voices
from likeness.studio.datasets import jobs as dataset_jobs
from likeness.studio.supervisor import Ending

ENDINGS: dict[str, Ending] = {
    **comparing.ENDINGS,
    **dataset_jobs.ENDINGS,
    **generations.ENDINGS,
    **merges.ENDINGS,
    **publishing.ENDINGS,
    **recordings.ENDINGS,
    **said.ENDINGS,
    **voices.ENDINGS,
}
