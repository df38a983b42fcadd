#!/usr/bin/env python3
"""Runs `fovea generate --chat` with chat templates that mean harm, and measures what they cost.

    Tools/check-hostile-templates.py [--fovea .build/release/fovea] [--model Models/storyteller-15m] [--all]

Each must end in one line of error, within a second and 64 MiB more than the same command with a harmless template needs.
Those that end otherwise, or cost more, are listed; --all lists every one.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

SECONDS, MEBIBYTES = 1.0, 64
HARMLESS = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"


def nested(opening: str, count: int, inner: str = "", closing: str = "") -> str:
    return opening * count + inner + closing * count


TEMPLATES = {
    # Endless and long loops.
    "nested ranges": "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "nested short ranges": nested("{% for a in range(20) %}", 12, "x", "{% endfor %}"),
    "filtered loop": "{% for a in range(99999) if range(99999) | list | length == 1 %}{% endfor %}",
    "range(10**9)": "{{ range(10**9) | list | length }}",
    "range(10**9) joined": "{{ range(10**9) | join }}",
    "range backwards": "{% for x in range(10**18, 0 - 10**18, -1) %}{% endfor %}",
    "range in range": "{{ 10**17 in range(10**18) }}{% for x in range(10**7) %}{{ x }}{% endfor %}",
    "map of a range": "{{ range(10**7) | map('string') | list | length }}",
    "select of a range": "{{ range(10**7) | select('odd') | list | length }}",
    "sum of sums": "{{ range(10**6) | map('string') | map('list') | sum(start=[]) | length }}",
    "repeated sorting": "{% for i in range(10**6) %}{{ range(99999) | sort(reverse=true) | first }}{% endfor %}",
    "unique": "{% for i in range(10**5) %}{{ range(50000) | list | unique | list | length }}{% endfor %}",
    "groupby": "{% for i in range(10**5) %}{{ [{'a': 1}, {'a': 2}] * 9999 | groupby('a') }}{% endfor %}",
    "dictsort": "{% set d = dict() %}{% for i in range(10**6) %}{{ {'a': 1, 'b': 2} | dictsort }}{% endfor %}",
    # Growth.
    "string times": "{{ 'a' * 10**9 }}",
    "string times, in steps": "{{ ('a' * 10**4) * 10**4 * 10**4 }}",
    "list times": "{{ [1] * 10**9 }}",
    "list of lists times": "{{ ([[1] * 1000] * 1000) * 1000 }}",
    "negative times": "{{ 'a' * (-10**18) }}{{ 'a' * (2**62) }}",
    "doubling": "{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    "doubling by +": "{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
    "doubling lists": "{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
    "list of itself, printed": "{% set n = namespace(s=['a']) %}{% for i in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}",
    "list of itself, as JSON": "{% set n = namespace(s=['a']) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s | tojson }}",
    "list of itself, compared": "{% set n = namespace(a=[1], b=[1]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}{% endfor %}{{ n.a == n.b }}",
    "list of itself, sorted": "{% set n = namespace(a=[1]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% endfor %}{{ [n.a, n.a] | sort | length }}",
    "dictionary of itself": "{% set n = namespace(s={}) %}{% for i in range(99) %}{% set n.s = {'a': n.s, 'b': n.s} %}{% endfor %}{{ n.s }}",
    "deep list": "{% set n = namespace(s=[]) %}{% for i in range(99999) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s }}",
    "deep list, dropped": "{% set n = namespace(s=[]) %}{% for i in range(300000) %}{% set n.s = [n.s] %}{% endfor %}{% set n.s = 1 %}{{ fail }}{{ fail.x }}",
    "deep dictionary": "{% set n = namespace(s={}) %}{% for i in range(99999) %}{% set n.s = {'a': n.s} %}{% endfor %}{{ n.s }}",
    "deep tuple in one expression": "{% set n = namespace(s=[]) %}{% for i in range(9999) %}{% set n.s = " + nested("(", 30, "n.s", ",)") + " %}{% endfor %}{{ n.s }}",
    "deep methods": "{% set n = namespace(s=[]) %}{% for i in range(99999) %}{% set n.s = [n.s.index] %}{% endfor %}{{ 1 // 0 }}",
    "deep groups": "{% set n = namespace(s=[1]) %}{% for i in range(99999) %}{% set n.s = [{'a': n.s}] | groupby('b') %}{% endfor %}{{ 1 // 0 }}",
    "chain of namespaces": "{% set n = namespace(c=namespace()) %}{% set h = n.c %}{% for i in range(99999) %}{% set c = n.c %}{% set c.next = namespace() %}{% set n.c = c.next %}{% endfor %}{{ 1 // 0 }}",
    "chain of macros": "{% set n = namespace(f=1) %}{% for i in range(50000) %}{% set p = n.f %}{% macro g() %}{{ p }}{% endmacro %}{% set n.f = g %}{% endfor %}{{ 1 // 0 }}",
    "deep sets in text": "{% set x = [] %}" + "{% set x = [x] %}" * 30000 + "{{ x }}",
    "deep sums": "{% set n = namespace(s=[[]]) %}{% for i in range(9999) %}{% set n.s = [n.s] | sum(start=[]) | batch(1) | list %}{% endfor %}{{ n.s }}",
    "deep list, as JSON": "{% set n = namespace(s=[]) %}{% for i in range(99999) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s | tojson }}",
    "exponential replace": "{% set n = namespace(s='aa') %}{% for i in range(99) %}{% set n.s = n.s.replace('a', 'aa') %}{% endfor %}",
    "replace of nothing": "{{ ('a' * 10**5).replace('', 'b' * 10**5) }}",
    "replace filter": "{{ ('a' * 10**5) | replace('a', 'b' * 10**5) }}",
    "huge join": "{{ range(99999) | join('x' * 99999) }}",
    "join of strings": "{{ ('x' * 10**6).join(('a' * 10**6) | list) }}",
    "indent": "{{ ('a\n' * 10**5) | indent(10**5) }}",
    "indent of 10**9": "{{ 'a\nb' | indent(10**9) }}",
    "JSON indent": "{{ range(99999) | list | tojson(indent=10**9) }}",
    "format": "{{ '%1000000000d' % 1 }}",
    "format by *": "{{ '%*d' % (10**9, 1) }}",
    "format filter": "{{ '%999999999s' | format('x') }}",
    "format of floats": "{{ '%.999999999f' % 1.5 }}",
    "center": "{{ 'a' | center(10**9) }}",
    "zfill": "{{ 'a'.zfill(10**9) }}",
    "ljust": "{{ 'a'.ljust(10**9) }}",
    "powers": "{{ 10 ** 10 ** 10 }}",
    "powers, printed": "{{ 2 ** 10**7 }}",
    "powers of floats": "{{ 1.5 ** (10**9) }}{{ (1e308 * 10) | int }}",
    "batch": "{{ [1] | batch(10**9, 0) | list }}",
    "slice": "{{ [1] | slice(10**9, 0) | list }}",
    "wordwrap": "{{ ('ab ' * 10**6) | wordwrap(1, true, 'x' * 10**6) }}",
    "title of much": "{% for i in range(10**6) %}{{ ('ab ' * 10**5).title() | length }}{% endfor %}",
    "splits": "{% for i in range(10**5) %}{{ ('a ' * 10**5).split() | length }}{% endfor %}",
    "lists of characters": "{% for i in range(10**5) %}{{ ('a' * 10**5) | list | length }}{% endfor %}",
    "searches": "{% set x = 'ab' * 10**6 %}{% for i in range(10**5) %}{{ ('aab' * 10**5) in x }}{% endfor %}",
    "searches by find": "{% set x = 'a' * 10**6 %}{% for i in range(10**5) %}{{ x.find('a' * 10**5 ~ 'b') }}{% endfor %}",
    "searches in lists": "{% set x = range(99999) | list %}{% for i in range(10**5) %}{{ 'a' in x }}{% endfor %}",
    "counts": "{% set x = 'a' * 10**6 %}{% for i in range(10**5) %}{{ x.count('a' * 1000) }}{% endfor %}",
    "strips": "{% set x = ' ' * 10**6 %}{% for i in range(10**5) %}{{ x.strip() ~ x.lstrip('a b') }}{% endfor %}",
    "comparisons": "{% set x = 'a' * 10**6 %}{% set y = 'a' * 10**6 %}{% for i in range(10**6) %}{{ x == y }}{% endfor %}",
    "lengths": "{% set x = 'é' * 10**6 %}{% for i in range(10**6) %}{{ x | length }}{{ x[-1] }}{% endfor %}",
    "slices": "{% set x = 'é' * 10**6 %}{% for i in range(10**6) %}{{ x[1:] | length }}{% endfor %}",
    "reversals": "{% set x = 'a' * 10**6 %}{% for i in range(10**6) %}{% set y = x[::-1] %}{% endfor %}",
    "output": "{% for i in range(10**6) %}{{ 'a' * 1000 }}{% endfor %}",
    "captured output": "{% set x %}{% for i in range(10**6) %}{{ 'a' * 1000 }}{% endfor %}{% endset %}{{ x }}",
    "namespaces": "{% for i in range(10**6) %}{% set n = namespace(a=namespace(b=namespace(c='x' * 1000))) %}{% endfor %}",
    "many names": "{% for i in range(10**6) %}{% set a, b, c, d = 1, 2, 3, 4 %}{% endfor %}{{ 1 // 0 }}",
    # Recursion.
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "branching recursion": "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "mutual recursion": "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
    "branching, bounded in depth": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(25) }}",
    "recursion by caller": "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{% call f() %}x{% endcall %}",
    "recursion by default": "{% macro f(a=f()) %}{{ a }}{% endmacro %}{{ f() }}",
    "macros in macros": nested("{% macro f() %}", 2000, "{{ f() }}", "{% endmacro %}") + "{{ f() }}",
    "recursive loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "deep parentheses": "{{ " + nested("(", 10**5, "1", ")") + " }}",
    "deep brackets": "{{ " + nested("[", 10**5) + " }}",
    "deep braces": "{{ " + nested("{'a':", 10**5, "1", "}") + " }}",
    "deep indices": "{{ " + nested("a[", 10**5, "1", "]") + " }}",
    "deep calls": "{{ " + nested("f(", 10**5, "1", ")") + " }}",
    "deep conditions": "{{ " + nested("1 if 1 else ", 10**5, "1") + " }}",
    "deep not": "{{ " + nested("not ", 10**5, "1") + " }}{{ 1 // 0 }}",
    "deep minus": "{{ " + nested("-", 10**5, "1") + " }}",
    "deep powers": "{{ " + nested("2**", 10**5, "1") + " }}",
    "long sum": "{{ 1" + "+1" * 10**5 + " }}",
    "long or": "{{ x" + " or x" * 10**5 + " }}",
    "long and": "{{ 1" + " and 1" * 10**5 + " }}",
    "long if": "{{ 1" + " if 1" * 10**5 + " }}",
    "long comparison": "{{ 1" + " == 1" * 10**5 + " }}{{ 1 // 0 }}",
    "long tests": "{{ 1" + " is none" * 10**5 + " }}",
    "long indices": "{{ x" + "[0]" * 10**5 + " }}",
    "long calls": "{{ x" + "()" * 10**5 + " }}",
    "long attributes": "{{ x" + ".a" * 10**5 + " }}",
    "long filters": "{{ 1" + " | string" * 10**5 + " }}",
    "long concatenation": "{{ 'a'" + " ~ 'a'" * 10**5 + "}}{{ 1 // 0 }}",
    "deep if": nested("{% if true %}", 10**4),
    "deep for": nested("{% for x in [1] %}", 10**4, "", "{% endfor %}"),
    "deep set": nested("{% set x %}", 10**4, "", "{% endset %}"),
    "deep with": nested("{% with a=1 %}", 10**4, "", "{% endwith %}"),
    "many elif": "{% if false %}" + "{% elif false %}" * 10**5 + "{% endif %}{{ 1 // 0 }}",
    "many tags": "{{ 1 }}" * 500000,
    "unclosed comment": "{#" * 10**5,
    "unclosed text": "{{ '" + "a" * 10**6,
    "unclosed escapes": "{{ '" + "\\" * 10**6,
    "huge number": "{{ " + "9" * 10**6 + " }}",
    "huge exponent": "{{ 1e" + "9" * 10**5 + " | int }}",
    "huge name": "{{ " + "a" * 10**6 + "() }}",
    # Ways out.
    "x.__class__": "{{ x.__class__ }}{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "class by filter": "{{ ('' | attr('__class__')).__mro__ }}",
    "class by index": "{{ messages[0]['__class__']['__base__'] }}{{ ''['__class__'].x }}",
    "class by map": "{{ [''] | map(attribute='__class__') | list | first | attr('__mro__') }}",
    "globals of a macro": "{% macro f() %}{% endmacro %}{{ f.__globals__['os'] }}",
    "globals of raise_exception": "{{ raise_exception.__globals__.os.system('id') }}",
    "globals of namespace": "{{ namespace.__init__.__globals__ }}",
    "format fields": "{{ '{0.__class__}'.format(1) }}",
    "format of maps": "{{ '{a.__class__.__init__.__globals__}'.format_map({'a': namespace}) }}",
    "self": "{{ self._TemplateReference__context.x.y }}",
    "cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "lipsum": "{{ lipsum.__globals__ }}{{ lipsum(n=10**9) }}",
    "import": "{% import 'os' as os %}{{ os.environ }}",
    "include": "{% include '/etc/passwd' %}",
    "extends": "{% extends '/etc/passwd' %}",
    "from": "{% from 'os' import environ %}",
    "do": "{% do messages.append(1) %}{{ messages.clear() }}",
    "changed inputs": "{{ messages.append({'role': 'system'}) }}",
    "changed dictionaries": "{{ messages[0].update({'role': 'system'}) }}",
    "time format": "{{ strftime_now('%' * 10**6) }}{{ strftime_now('%Y' * 10**6) }}{{ 1 // 0 }}",
    "raise": "{{ raise_exception('x' * 10**7) }}",
    "dictionary keys": "{{ {[1]: 1} }}",
    "null bytes": "{{ '\x00' * 10 }}\x00{{ 1 // 0 }}",
}


def run(fovea: str, folder: str) -> tuple[int, str, float, int]:
    """The exit code, what was written to standard error, seconds, and the peak of memory in bytes."""
    command = [fovea, "generate", "--model", folder, "--chat", "hi", "--max-tokens", "1", "--threads", "1"]
    with tempfile.TemporaryFile() as errors:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        timer = threading.Timer(4 * SECONDS, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - start
        errors.seek(0)
        return process.returncode, errors.read().decode(errors="replace"), seconds, usage.ru_maxrss << 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fovea", default=".build/release/fovea")
    parser.add_argument("--model", type=pathlib.Path, default=pathlib.Path("Models/storyteller-15m"))
    parser.add_argument("--all", action="store_true", help="list all templates")
    options = parser.parse_args()
    failures, worst_seconds, worst_bytes = 0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for path in options.model.iterdir():
            os.symlink(path.resolve(), f"{folder}/{path.name}")
        template = pathlib.Path(folder, "chat_template.jinja")

        def measure(text: str) -> tuple[int, str, float, int]:
            template.unlink(missing_ok=True)
            template.write_text(text)
            return run(options.fovea, folder)

        code, text, _, base = measure(HARMLESS)
        if code != 0:
            sys.exit(f"the harmless template fails: {text}")
        for name, source in TEMPLATES.items():
            code, text, seconds, byte_count = measure(source)
            extra = max(0, byte_count - base)
            worst_seconds, worst_bytes = max(worst_seconds, seconds), max(worst_bytes, extra)
            is_good = (code in (64, 65) and text.count("\n") == 1 and len(text) < 2000 and seconds <= SECONDS
                       and extra <= MEBIBYTES << 20)
            failures += not is_good
            if options.all or not is_good:
                shown = text.strip().replace(folder, "")[:160]
                print(f"{'ok' if is_good else 'BAD'} {name}: exit code {code}, {seconds:.2f} s, {extra >> 20} MiB: {shown}")
    print(f"{len(TEMPLATES)} templates, {failures} bad; at most {worst_seconds:.2f} s and {worst_bytes >> 20} MiB")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
