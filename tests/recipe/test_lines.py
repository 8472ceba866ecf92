"""Lines of keys against texts whose lines can be counted."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import RecipeError
from geoseg.recipe.lines import Document, suggestion

TEXT = '''# a comment = 3
title = "a # b = [c]"  # [step]
long = """
x = 1
quotes "" and \\""" within""""
raw = \'\'\'
[[step]]
\'\'\'
list = [
  1, # ]
  "]",
]
after = { a = 1, b = "}" }

[set]
"odd = key" = 1
a.b = 2

[[step]]
run = "tile"
[step.options]
size = 3

[[step]]
  run = "train"
  [step.options]
  epochs = 4
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("title",), 2),
        (("long",), 3),
        (("raw",), 6),
        (("list",), 9),
        (("after",), 13),
        (("after", "b"), 13),
        (("set", "odd = key"), 16),
        (("set", "a", "b"), 17),
        (("step", 0), 19),
        (("step", 0, "run"), 20),
        (("step", 0, "options", "size"), 22),
        (("step", 1), 24),
        (("step", 1, "options", "epochs"), 27),
        (("step", 1, "options", "unknown"), 26),
        (("nothing",), 1),
    ],
)
def test_keys_have_the_lines_on_which_they_stand(write, key, line):
    document = Document.read(write(TEXT))
    assert document.line(key) == line


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_end_as_they_do_on_any_system(tmp_path, end):
    path = tmp_path / "recipe.toml"
    path.write_bytes(end.join(["a = 1", "", "b = 2", ""]).encode())
    assert Document.read(path).line(("b",)) == 3


VALUES = st.sampled_from(
    [
        "1",
        '"x"',
        "'\"'",
        '"\\""',
        "[1, [2]]",
        "{ p = 1 }",
        '"""\n=\n"""',
        "'''\n[x]\n'''",
        "[\n1,\n]",
        '"#"',
    ]
)


@given(st.lists(st.tuples(VALUES, st.sampled_from(["", "  # [c]", "\n", "\n# d = 1"])), max_size=8))
@settings(max_examples=60, deadline=None)
def test_every_key_is_found_whatever_stands_before_it(tmp_path_factory, pairs):
    text, lines = "", {}
    for number, (value, end) in enumerate(pairs):
        lines[f"k{number}"] = text.count("\n") + 1
        text += f"k{number} = {value}{end}\n"
    path = tmp_path_factory.mktemp("lines") / "r.toml"
    path.write_text(text, encoding="utf-8", newline="\n")
    document = Document.read(path)
    assert set(document.content) == set(tomllib.loads(text)) == set(lines)
    assert {key: document.line((key,)) for key in lines} == lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x y", r"recipe\.toml, line 1: no TOML from column 3 on: Expected '='"),
        ("a = 1\n\nb = \n", r"recipe\.toml, line 3: no TOML from column 5 on: Invalid value"),
        ("a = 1\na = 2", r"recipe\.toml is no TOML: .*end"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(write, text, words):
    with pytest.raises(RecipeError, match=words):
        Document.read(write(text))


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "r.toml").write_bytes(b"\na = '\xff'")
    with pytest.raises(RecipeError, match=r"r\.toml, line 2: not in UTF-8"):
        Document.read(tmp_path / "r.toml")


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"none\.toml cannot be read"):
        Document.read(tmp_path / "none.toml")


def test_suggestions_name_the_nearest_word_or_all():
    assert suggestion("sise", ["size", "stride"]) == "; did you mean 'size'?"
    assert suggestion("zzz", ["size", "stride"]) == "; there are size, stride"
    assert suggestion("zzz", []) == ""
