"""Settings and values for property tests: the same few hundred examples in every run."""

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

quick = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(), max_size=8),  # lone surrogates too
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def objects(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of the fields, each as it should be or anything, and now and then more."""
    some = {name: st.one_of(good, good, values) for name, good in fields.items()}
    more = st.dictionaries(st.text(max_size=5), values, max_size=1)
    return st.builds(
        lambda known, other: {**known, **other},
        st.fixed_dictionaries({}, optional=some),
        st.one_of(st.just({}), st.just({}), more),
    )


def written(objects: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """As JSON, whole or cut off somewhere."""
    whole = objects.map(json.dumps)
    cut = st.builds(lambda text, at: text[: at % (len(text) + 1)], whole, st.integers(0, 400))
    return st.one_of(whole, whole, cut)
