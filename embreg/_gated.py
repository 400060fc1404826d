"""What to do about a hub repository that does not let everybody in."""

from __future__ import annotations

__all__ = ["access_advice"]


def access_advice(error: BaseException, repository: str) -> str:
    """Way out of an error of the hub's client that is about access; empty for any other error.

    The token itself is never part of it.

    Parameters
    ----------
    error : Exception
        As the client raised it, or one that it caused.
    repository : str
        ``organisation/repository``.

    Examples
    --------
    >>> access_advice(OSError("disk full"), "someone/something")
    ''
    """
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    page = f"{constants.ENDPOINT}/{repository}"
    if any(isinstance(e, GatedRepoError) for e in chain):
        if get_token() is None:
            which = "no token is set: set HF_TOKEN to one of an account that has"
        else:
            which = "the account of the token that is set (HF_TOKEN, or `hf auth login`) has not, or not yet"
        return (
            f"{repository} is gated: its terms must be accepted at {page}, however: {which}. Ways out: "
            "accept them there and set HF_TOKEN, a local folder given as the model, or a model that is open "
            "to all (embreg models ls)"
        )
    if any(isinstance(e, RepositoryNotFoundError) for e in chain):
        return (
            f"the hub at {constants.ENDPOINT} shows no repository {repository}: check its spelling; if it is "
            "private, set HF_TOKEN to a token that may read it"
        )
    return ""
