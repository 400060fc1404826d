"""Behind ``python -m embreg.pages FOLDER --browser``: what only shows in a real browser."""

from embreg.browsing.run import Seen, check_in_browser

__all__ = ["Seen", "check_in_browser"]
