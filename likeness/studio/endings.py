"""What is done when a job has finished, by its verb: all rooms of the studio in one table."""

from likeness.studio import generations, merges, publishing
from likeness.studio.supervisor import Ending

ENDINGS: dict[str, Ending] = {**generations.ENDINGS, **merges.ENDINGS, **publishing.ENDINGS}
