"""Errors meant for people: what is wrong, where, and what to do."""


class JackpotError(Exception):
    """A problem the user can fix; shown as its message alone, without a traceback."""
