"""Paragraphs of dpkg's databases."""

from hypothesis import given
from hypothesis import strategies as st

from drift_agent.image.facts.package import stanzas

packages = st.lists(
    st.dictionaries(st.sampled_from(["Package", "Version", "Status"]), st.sampled_from(["a", "1:2~3"]), min_size=1)
)


@given(packages, st.integers(1, 3))
def test_each_paragraph_is_a_package_however_many_empty_lines_part_them(wanted: list[dict[str, str]], gap: int) -> None:
    paragraphs = ["\n".join(f"{name}: {value}" for name, value in fields.items()) for fields in wanted]
    assert list(stanzas(("\n" * (gap + 1)).join(paragraphs))) == wanted


def test_the_lines_that_a_field_goes_on_in_are_no_fields() -> None:
    assert list(stanzas("Package: a\nConffiles:\n Package: b\n\tVersion: 2\nVersion: 1\n")) == [
        {"Package": "a", "Version": "1"}
    ]
