"""Why an export was not made, or not finished. What is finished stays, and a rerun goes on."""


class ExportError(Exception):
    """The export cannot be made as it was asked for."""

    code = "export_failed"


class SelectionInvalid(ExportError):
    """No events can be chosen in this way."""

    code = "selection_invalid"


class BeyondLog(SelectionInvalid):
    """The log does not reach so far yet: what is there would not be all of it."""

    code = "beyond_log"


class FolderTaken(ExportError):
    """The folder holds something else, or another export is at work in it."""

    code = "folder_taken"


class FolderUnusable(ExportError):
    """The disk is full, or the folder cannot be written to."""

    code = "folder_unusable"


class TooManyEvents(ExportError):
    """A spreadsheet does not hold so many events."""

    code = "too_many_events"


class LogAltered(ExportError):
    """The log is not what was written: an export of it would only spread that."""

    code = "log_altered"


class Stopped(ExportError):
    """Whoever asked for the export no longer wants it, or it goes on elsewhere."""

    code = "export_stopped"
