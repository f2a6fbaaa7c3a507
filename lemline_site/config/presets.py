"""Defaults for a size of installation, as texts by key; anything that is set comes before them."""

from collections.abc import Mapping

PRESETS: Mapping[str, Mapping[str, str]] = {
    "none": {},
    "low": {
        "lemline.execution.pools.http.max-size": "20",
        "lemline.execution.pools.compute.max-size": "4",
        "lemline.execution.pools.io.max-size": "20",
    },
    "medium": {
        "lemline.execution.pools.http.max-size": "100",
        "lemline.execution.pools.compute.max-size": "8",
        "lemline.execution.pools.io.max-size": "100",
    },
    "high": {
        "lemline.execution.pools.http.max-size": "500",
        "lemline.execution.pools.compute.max-size": "16",
        "lemline.execution.pools.io.max-size": "200",
    },
}
