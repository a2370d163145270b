"""What can go wrong, by what the caller should do about it. The command line turns each into an exit code."""

# How a worker's last words begin in its log, so that they are told apart from what libraries say there.
LAST_WORDS = "likeness: "


class LikenessError(Exception):
    """Base of all errors that are told to the user in plain words, without a traceback."""

    exit_code = 1


class InputError(LikenessError):
    """What the user gave cannot be used. Raised before any model is loaded; nothing has been written.

    The message names the file, the field and the fix. Several problems may be told at once.
    """

    exit_code = 2

    def __init__(self, *problems: str):
        super().__init__("\n".join(problems))
        self.problems = problems


class NotFound(InputError):
    """What was named is not there."""


class Conflict(InputError):
    """What was asked for does not go with how things stand: a run that is there already, a job that has ended."""


class RunFailed(LikenessError):
    """Training stopped on its own. The last good state is on disk and `--resume` goes on from it."""

    exit_code = 3


class Interrupted(LikenessError):
    """The user asked to stop; the state is on disk."""

    exit_code = 130
