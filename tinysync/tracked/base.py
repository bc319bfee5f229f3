"""What the tracked dict, list and set have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.errors import UsageError
from tinysync.tracked.detached import detached_edit
from tinysync.tracked.plain import CONTAINERS, plain

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from tinysync.crdt.node import Node
    from tinysync.tracked.detached import DetachedEdit
    from tinysync.tracked.edit import Edit
    from tinysync.tracked.recorder import Recorder


class Tracked:
    """A container whose changes are recorded, as long as it is part of a tracked structure.

    It is a real dict, list or set, and reads are the builtin's own. A container that was made by calling its
    class, or that left the structure, is *detached*: it works like the builtin, and nothing is recorded.

    ``with container:`` (or ``async with``) is a transaction on the whole structure. Copies, deep copies and
    pickles are plain. What writes to a list or dict past its methods (``heapq``, ``list.append(tracked, 1)``) is
    not seen.
    """

    __slots__ = ()

    _node: Node | None
    _recorder: Recorder | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        kind = next((kind for base, kind in CONTAINERS.items() if issubclass(cls, base)), None)
        if kind is not None:
            CONTAINERS[cls] = kind

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Return an empty, detached container; the builtin's ``__init__`` fills it."""
        self = super().__new__(cls)
        bind(self, None, None)
        return self

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        if is_attached(self):
            raise UsageError(f"cannot initialise a {type(self).__name__} again that is part of a structure")
        super().__init__(*args, **kwargs)

    @property
    def _tracker(self) -> Any:
        """The handle of the structure, as ``tinysync.tracker(x)`` returns it; None if it belongs to none."""
        return self._recorder.handle if self._recorder is not None and is_attached(self) else None

    @property
    def __subject__(self) -> Any:
        """A deep copy as a plain dict, list or set."""
        return plain(self)

    def __enter__(self) -> Self:
        self._transaction_recorder().__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._recorder is not None
        return self._recorder.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Self:
        await self._transaction_recorder().__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._recorder is not None
        return await self._recorder.__aexit__(kind, error, traceback)

    def _transaction_recorder(self) -> Recorder:
        if not is_attached(self) or self._recorder is None:
            raise UsageError(
                f"cannot open a transaction on a {type(self).__name__} that is not part of a structure; "
                "open it on the structure itself",
            )
        return self._recorder


def bind(container: Tracked, node: Node | None, recorder: Recorder | None) -> None:
    """Say which node a container stands for, and who records its changes."""
    object.__setattr__(container, "_node", node)
    object.__setattr__(container, "_recorder", recorder)


def is_attached(container: Tracked) -> bool:
    """Tell whether a container is part of a structure."""
    return container._node is not None and container._node.attached


def editing(
    container: Tracked,
    func_name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
) -> AbstractContextManager[Edit | DetachedEdit]:
    """Return the context in which a mutating method makes its edits."""
    node = container._node
    if node is not None and node.attached:
        recorder = container._recorder
        assert recorder is not None
        return recorder.edit(container, func_name, args, kwargs)
    return detached_edit(container)
