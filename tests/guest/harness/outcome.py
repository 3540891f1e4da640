"""How a case ends when it does not end well."""


class Failure(Exception):
    """Something is not as it must be."""


class Skip(Exception):
    """The case cannot be run here; the text says why."""
