"""The JSON Schemas of the reports."""

from importlib import resources


def text(name: str) -> str:
    """The schema in the file NAME. The packaged program brings its own version of this function."""
    return resources.files(__name__).joinpath(name).read_text("utf-8")
