"""Packages that only an extra of skae installs."""


def missing_package(caller: str, package: str, extra: str) -> ImportError:
    """Return the error for a package that is not installed.

    Parameters
    ----------
    caller : str
        The function or class that needs the package.

    package : str
        The package.

    extra : str
        The extra in ``pyproject.toml`` that contains it.

    Returns
    -------
    ImportError
        With the command that installs the extra. skae is not on PyPI: the command is one for
        a checkout.
    """
    return ImportError(
        f"{caller} needs {package}, which is not installed. From a checkout of skae: "
        f"pip install -e '.[{extra}]'"
    )
