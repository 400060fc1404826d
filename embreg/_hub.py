"""A snapshot of a Hugging Face hub repository: safetensors, configuration and tokenizer only."""

from __future__ import annotations

import re
from pathlib import Path

from embreg._folder import check_folder
from embreg._gated import access_advice
from embreg._progress import without_widgets
from embreg._specs import WeightsUnavailable

__all__ = ["cached", "snapshot"]


def _download(repository: str, revision: str | None, *, local_files_only: bool) -> Path:
    with without_widgets():
        from huggingface_hub import snapshot_download

    # Only files at the root: other folders hold exports to other formats. Reading the cache needs the same
    # choice, because newer clients otherwise miss the files that were never asked for.
    return Path(
        snapshot_download(
            repository,
            revision=revision,
            local_files_only=local_files_only,
            allow_patterns=["*.json", "*.safetensors", "*.model", "vocab.txt", "merges.txt"],
            ignore_patterns=["*/*"],
        )
    )


def cached(repository: str, revision: str | None) -> tuple[Path, str] | None:
    """Folder and commit of a repository in the hub's cache on this machine; None when it is not there.

    Raises
    ------
    ValueError
        What is there cannot be loaded safely, see `embreg._folder.check_folder`.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        path = _download(repository, revision, local_files_only=True)
        return check_folder(path), path.name
    except (LocalEntryNotFoundError, FileNotFoundError):  # the second: a download that was interrupted
        return None


def snapshot(repository: str, revision: str | None, *, network: bool) -> tuple[Path, str]:
    """Folder and commit of a repository, downloaded when it is not in the hub's cache.

    Parameters
    ----------
    repository : str
        ``organisation/repository``.
    revision : str or None
        Commit, tag or branch; None is ``main``. A commit in the cache is used without asking the hub.
    network : bool
        Whether the hub may be asked.

    Returns
    -------
    path : Path
    commit : str
        40 hexadecimal digits, whatever `revision` was.

    Raises
    ------
    WeightsUnavailable
        Not in the cache and not to be had.
    ValueError
        The repository holds no safetensors, or asks for remote code.
    """
    from huggingface_hub import HfApi

    pinned = revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None
    here = cached(repository, revision) if pinned or not network else None
    if here is not None:
        return here
    at = f"{repository} at revision {revision or 'main'}"
    if not network:
        raise WeightsUnavailable(
            f"{at} is not on this machine (neither in the hub's cache nor as a local folder of that name), "
            "and the network is switched off (EMBREG_OFFLINE=1, or HF_HUB_OFFLINE=1). Where the hub can be "
            f"reached: embreg models fetch {repository}"
        )
    try:
        info = HfApi().model_info(repository, revision=revision)
        files = [s.rfilename for s in info.siblings or ()]
        if not any(f.endswith(".safetensors") and "/" not in f for f in files):
            raise ValueError(
                f"{at} holds no safetensors ({len(files)} files: {', '.join(files[:8])}). embreg never opens "
                "pickled weights. Ways out: a revision that has safetensors (the hub's conversion service "
                "opens a pull request, revision='refs/pr/N'), or a local folder saved by "
                "model.save_pretrained"
            )
        # By branch, not by the commit just seen: only then does the client remember what the branch
        # stands for, and a later call finds it without the network.
        path = _download(repository, revision, local_files_only=False)
    except ValueError:
        raise
    except Exception as error:  # the errors of the hub's client have no common base across its versions
        # A branch that was fetched before is better than nothing; the commit found is what gets recorded.
        if (here := cached(repository, revision)) is not None:
            return here
        if advice := access_advice(error, repository):
            raise WeightsUnavailable(f"cannot get {at}: {advice}") from error
        raise WeightsUnavailable(
            f"cannot get {at} from the hub, and no local folder has that name: {error}. Ways out: a mirror "
            "(HF_ENDPOINT), a local folder given as the model, or a named model that installs from a package "
            "registry (embreg models ls)"
        ) from error
    return check_folder(path), path.name
