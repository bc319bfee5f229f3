"""What all typed views have in common: the container behind them, and its transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Typed:
    """A view of a tracked container, which is where all of its content is.

    Whatever the class that it is an instance of defines, ``with view:`` is a transaction.
    """

    __slots__ = ()

    _tinysync_container: Any
    _tinysync_schema: Any

    def __init_subclass__(cls, **_kwargs: Any) -> None:
        """Keep it from the program's own class, which may count its subclasses."""

    @property
    def _tracker(self) -> Any:
        """The handle of the structure, as ``tinysync.tracker(x)`` returns it."""
        return self._tinysync_container._tracker

    def __enter__(self) -> Self:
        self._tinysync_container.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        result: bool | None = self._tinysync_container.__exit__(kind, error, traceback)
        return result

    async def __aenter__(self) -> Self:
        await self._tinysync_container.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        result: bool | None = await self._tinysync_container.__aexit__(kind, error, traceback)
        return result

    @property
    def __subject__(self) -> Any:
        """A deep copy that is made of plain dataclass instances, dicts, lists and sets."""
        return self._tinysync_schema.plain(self._tinysync_container)

    def __copy__(self) -> Any:
        return self.__subject__

    def __deepcopy__(self, _memo: Any) -> Any:
        return self.__subject__

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        return self.__subject__.__reduce_ex__(protocol)
