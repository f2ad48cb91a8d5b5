# SPDX-License-Identifier: Apache-2.0
"""Walks a template with its arguments: every branch, including those not taken in this rendering.

Jinja's StrictUndefined fails on a missing attribute only when it is evaluated; here each attribute named in the
template, its parents, includes and macros is compared with the type of its object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jinja2 import Environment, nodes
from template_types import (
    Each,
    Keys,
    Known,
    MissingError,
    Of,
    attribute,
    item,
    known_of_value,
    pairs,
    returned,
    union,
)

KEEPS = {"select", "selectattr", "reject", "rejectattr", "sort", "list", "reverse", "unique"}  # same elements
TEXTS = {"upper", "lower", "join", "format", "urlencode", "xmlattr", "string", "trim"}
DEPTH = 12  # of nested macro calls
_OWN = {"loop", "caller", "varargs", "kwargs", "super", "self"}  # provided by Jinja itself
TEXT: Known = (Of(str),)


@dataclass(frozen=True)
class Macro:
    """A macro of a template, with that template's own names, or its importer's with the context."""

    node: nodes.Macro
    template: str
    scope: dict[str, Any]


@dataclass
class Walk:
    """The faults of one template, as "template:line: the missing attribute"."""

    environment: Environment
    faults: list[str] = field(default_factory=list)
    _blocks: dict[str, tuple[str, nodes.Block, dict[str, Any]]] = field(default_factory=dict)
    _depth: int = 0

    def template(self, name: str, given: Mapping[str, Any]) -> list[str]:
        self._template(name, {key: known_of_value(value) for key, value in given.items()})
        return self.faults

    def _template(self, name: str, scope: dict[str, Any]) -> None:
        tree = _parsed(self.environment, name)
        parents = list(tree.find_all(nodes.Extends))
        if not parents:
            self._body(tree.body, scope, name)
            return
        self._body([each for each in tree.body if not isinstance(each, nodes.Output | nodes.Block)], scope, name)
        for block in tree.find_all(nodes.Block):
            self._blocks.setdefault(block.name, (name, block, scope))
        for parent in parents:
            assert isinstance(parent.template, nodes.Const)
            self._template(parent.template.value, scope)

    # --- statements

    def _body(self, body: Iterable[nodes.Node], scope: dict[str, Any], name: str) -> None:
        for node in body:
            self._statement(node, scope, name)

    def _statement(self, node: nodes.Node, scope: dict[str, Any], name: str) -> None:
        match node:
            case nodes.Output():
                for each in node.nodes:
                    self._value(each, scope, name)
            case nodes.If():
                self._value(node.test, scope, name)
                for part in (node.body, node.elif_, node.else_):
                    self._body(part, scope, name)
            case nodes.For():
                inside = scope | {"loop": None}
                self._bind(node.target, self._element(self._value(node.iter, scope, name)), inside)
                if node.test is not None:
                    self._value(node.test, inside, name)
                self._body(node.body, inside, name)
                self._body(node.else_, scope, name)
            case nodes.Assign():
                self._bind(node.target, self._value(node.node, scope, name), scope)
            case nodes.AssignBlock():
                self._body(node.body, scope, name)
                self._bind(node.target, TEXT, scope)
            case nodes.Macro():
                scope[node.name] = Macro(node, name, scope)
            case nodes.Block():
                where, block, its = self._blocks.get(node.name, (name, node, scope))
                self._body(block.body, dict(its), where)
            case nodes.CallBlock():
                self._value(node.call, scope, name)
                self._body(node.body, scope | {arg.name: None for arg in node.args}, name)
            case nodes.Include():
                self._body(
                    _parsed(self.environment, _constant(node.template)).body, dict(scope), _constant(node.template)
                )
            case nodes.Import():
                macros = self._imported(_constant(node.template), scope if node.with_context else {})
                scope[node.target] = macros
            case nodes.FromImport():
                macros = self._imported(_constant(node.template), scope if node.with_context else {})
                for imported in node.names:
                    theirs, ours = imported if isinstance(imported, tuple) else (imported, imported)
                    if theirs not in macros:
                        self._fault(node, name, f"{_constant(node.template)} has no macro {theirs}")
                    scope[ours] = macros.get(theirs)
            case nodes.Extends():
                pass
            case _:
                raise AssertionError(f"{name}:{node.lineno}: a statement that this walk does not know: {node}")

    def _imported(self, template: str, scope: dict[str, Any]) -> dict[str, Any]:
        inside = dict(scope)
        for node in _parsed(self.environment, template).body:
            if isinstance(node, nodes.Macro):
                inside[node.name] = Macro(node, template, inside)
        return inside

    def _bind(self, target: nodes.Node, known: Any, scope: dict[str, Any]) -> None:
        if isinstance(target, nodes.Name):
            scope[target.name] = known
            return
        assert isinstance(target, nodes.Tuple), target
        for number, each in enumerate(target.items):
            parts = [_part(option, number) for option in known] if isinstance(known, tuple) else [None]
            self._bind(each, union(parts), scope)

    # --- expressions

    def _value(self, node: nodes.Node | None, scope: dict[str, Any], name: str) -> Any:
        match node:
            case None | nodes.TemplateData():
                return None
            case nodes.Name():
                if node.name in scope:
                    return scope[node.name]
                if node.name in self.environment.globals:
                    return known_of_value(self.environment.globals[node.name])
                if node.name not in _OWN:
                    self._fault(node, name, f"nobody gives it {node.name}")
                return None
            case nodes.Const():
                return known_of_value(node.value)
            case nodes.Getattr():
                return self._attribute(node, self._value(node.node, scope, name), node.attr, name)
            case nodes.Getitem():
                whole = self._value(node.node, scope, name)
                self._value(node.arg, scope, name)
                if isinstance(node.arg, nodes.Slice):
                    return whole
                key = node.arg.value if isinstance(node.arg, nodes.Const) else None
                return union(item(each, key) for each in whole) if isinstance(whole, tuple) else None
            case nodes.Call():
                return self._call(node, scope, name)
            case nodes.Filter():
                value = self._value(node.node, scope, name)
                for each in (*node.args, *(pair.value for pair in node.kwargs)):
                    self._value(each, scope, name)
                return value if node.name in KEEPS else TEXT if node.name in TEXTS else None
            case nodes.CondExpr():
                self._value(node.test, scope, name)
                return _either(self._value(node.expr1, scope, name), self._value(node.expr2, scope, name))
            case nodes.Or():
                return _either(self._value(node.left, scope, name), self._value(node.right, scope, name))
            case nodes.And():
                self._value(node.left, scope, name)
                return self._value(node.right, scope, name)
            case nodes.Dict():
                found: dict[str, Known] = {}
                for pair in node.items:
                    value = self._value(pair.value, scope, name)
                    if isinstance(pair.key, nodes.Const):
                        found[str(pair.key.value)] = value
                return (Keys(found),)
            case nodes.List() | nodes.Tuple():
                return (Each(union(self._value(each, scope, name) for each in node.items)),)
            case _:
                for inside in node.iter_child_nodes():
                    self._value(inside, scope, name)
                return None

    def _element(self, known: Any) -> Known:
        return union(item(each) for each in known) if isinstance(known, tuple) else None

    def _attribute(self, node: nodes.Node, whole: Any, attr: str, name: str) -> Any:
        if isinstance(whole, dict):  # an imported template
            if attr not in whole:
                self._fault(node, name, f"no macro is called {attr}")
            return whole.get(attr)
        found = []
        for option in whole if isinstance(whole, tuple) else ():
            try:
                found.append(attribute(option, attr))
            except MissingError as missing:
                self._fault(node, name, f"{missing} has no {attr}")
        return union(found) if found else None

    def _call(self, node: nodes.Call, scope: dict[str, Any], name: str) -> Any:
        called = self._value(node.node, scope, name)
        args = [self._value(each, scope, name) for each in node.args]
        more = {pair.key: self._value(pair.value, scope, name) for pair in node.kwargs}
        if isinstance(called, Macro):
            self._macro(called, args, more)
            return TEXT
        if isinstance(node.node, nodes.Getattr):
            whole = self._value(node.node.node, scope, name)
            return union(_returned(each, node.node.attr) for each in whole) if isinstance(whole, tuple) else None
        if isinstance(called, tuple):
            return union(returned(each.live) if isinstance(each, Of) else None for each in called)
        return None

    def _macro(self, macro: Macro, args: list[Any], more: dict[str, Any]) -> None:
        if self._depth >= DEPTH:
            return
        inside, names = dict(macro.scope), [each.name for each in macro.node.args]
        defaults = macro.node.defaults
        for arg, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            inside[arg] = self._value(default, inside, macro.template)
        inside |= dict.fromkeys(names[: len(names) - len(defaults)]) | dict(zip(names, args, strict=False)) | more
        self._depth += 1
        self._body(macro.node.body, inside, macro.template)
        self._depth -= 1

    def _fault(self, node: nodes.Node, name: str, what: str) -> None:
        text = f"{name}:{node.lineno}: {what}"
        if text not in self.faults:
            self.faults.append(text)


@cache
def _parsed(environment: Environment, name: str) -> nodes.Template:
    assert environment.loader is not None
    source, *_ = environment.loader.get_source(environment, name)
    return environment.parse(source, name)


def _constant(node: nodes.Expr) -> str:
    assert isinstance(node, nodes.Const), node
    return str(node.value)


def _either(one: Any, other: Any) -> Any:
    return union([one, other]) if isinstance(one, tuple) and isinstance(other, tuple) else None


def _part(option: Any, number: int) -> Known:
    if isinstance(option, Keys) and set(option.each) == {"0", "1"}:
        return option.each[str(number)]
    return item(option, number)


def _returned(option: Any, method: str) -> Known:
    """The type that a method call returns."""
    if method == "items":
        known = pairs(option)
        return None if known is None else (Each(known),)
    if not isinstance(option, Of) or not isinstance(option.hint, type):
        return None
    if method in ("get", "values") and issubclass(option.hint, Mapping):
        return item(option) if method == "get" else (Each(item(option)),)
    function = getattr(option.hint, method, None)
    return None if function is None else returned(function)


def shape(value: Any) -> str:
    """Equal for values that a walk treats alike."""
    match value:
        case Mapping():
            return f"{type(value)}{sorted(map(str, value))[:40]}"
        case list() | tuple():
            return f"{type(value)}{shape(value[0]) if value else ''}"
        case _:
            return str(type(value))
