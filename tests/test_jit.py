from __future__ import annotations

from typing import Any

import numba
import pytest

from geoseg.jit import compiled


def test_function_is_compiled_for_its_signature_alone() -> None:
    @compiled("int64(int64)")
    def double(value: int) -> int:
        return 2 * value

    assert double(21) == 42
    with pytest.raises(TypeError, match="No matching definition"):
        double("ab")  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [RuntimeError("no locator available"), OSError(28, "full")])
def test_function_is_compiled_where_no_cache_can_be_written(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real = numba.njit

    def without_cache(*args: Any, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise error
        return real(*args, **options)

    monkeypatch.setattr(numba, "njit", without_cache)

    @compiled("int64(int64)")
    def double(value: int) -> int:
        return 2 * value

    assert double(21) == 42
