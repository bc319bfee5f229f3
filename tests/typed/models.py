"""Dataclasses that the tests track."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from datetime import date  # noqa: TC003 - read at run time
from enum import Enum
from typing import ClassVar, Literal


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(order=True)
class Server:
    host: str = "localhost"
    port: int = 80

    scheme: ClassVar[str] = "http"

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"

    @url.setter
    def url(self, url):
        self.host, port = url.split("://")[1].split(":")
        self.port = int(port)


@dataclass(slots=True, kw_only=True)
class Settings:
    name: str = "x"
    main: Server = field(default_factory=Server)
    backup: Server | None = None
    servers: list[Server] = field(default_factory=list)
    named: dict[str, Server] = field(default_factory=dict)
    retry: list[int] = field(default_factory=lambda: [1, 2])
    tags: set[str] = field(default_factory=set)
    limits: dict[str, int] = field(default_factory=dict)
    size: tuple[int, int] = (1, 2)
    color: Color = Color.RED
    colors: list[Color] = field(default_factory=list)
    ratio: float = 0.5
    mode: Literal["fast", "slow"] = "fast"
    due: date | None = None


@dataclass(frozen=True)
class Point:
    x: int = 0
    y: int = 0


@dataclass
class Base:
    first: int = 1
    _hidden: str = "h"


@dataclass
class Special(Base):
    point: Point = Point()
    computed: int = field(init=False, default=0)
    start: InitVar[int] = 5

    def __post_init__(self, start):
        self.computed = start * 2
        self.not_a_field = True


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)
