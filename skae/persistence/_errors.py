"""What is raised where a file cannot be loaded."""


class SavedFileError(ValueError):
    """A file that :func:`skae.load` cannot load: damaged, crafted, or of a newer format.

    Nothing else is raised for what a file holds. Where there is no file, or it may not be
    read, :func:`skae.load` raises the usual `OSError`.
    """


def check(condition: bool, message: str) -> None:
    """Raise unless a file is as it must be.

    Parameters
    ----------
    condition : bool
        Whether it is.

    message : str
        What is wrong with it.
    """
    if not condition:
        raise SavedFileError(message)
