import inspect
import re

from lt4rec_core import errors


def test_whatever_is_raised_on_purpose_is_an_lt4rec_error():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass)]

    assert all(issubclass(c, errors.Lt4recError) for c in classes)


def test_the_tree_in_the_docstring_names_every_error_below_its_parent():
    lines = re.finditer(r"^    ([ │├└─]*)(\w+Error)\b", errors.__doc__, re.M)
    depth_of = {line[2]: len(line[1]) // 4 for line in lines}

    for name, error in inspect.getmembers(errors, inspect.isclass):
        above = [base for base in error.__mro__[1:] if issubclass(base, errors.Lt4recError)]
        assert depth_of[name] == len(above), name
