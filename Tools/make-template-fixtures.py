#!/usr/bin/env python3
"""What transformers makes of chat templates, for the tests of FoveaTokenizers.

    python Tools/make-template-fixtures.py                       writes the fixtures that the tests carry
    python Tools/make-template-fixtures.py --templates DIR OUT   all *.jinja below DIR
    python Tools/make-template-fixtures.py --published OUT       the templates of some 70 models that llama.cpp's source
                                                                 carries, out of its package on PyPI

The last two are for one run: FOVEA_TEMPLATE_CASES=OUT swift test -c release --filter ChatTemplateTests

Needs transformers and jinja2. A case has a template, its inputs, and the text, or the fact that rendering fails.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import tarfile
import tempfile

from transformers.utils.chat_template_utils import _compile_jinja_template

sys.path.insert(0, str(pathlib.Path(__file__).parent / "fetching"))
import packages  # noqa: E402

OUT = pathlib.Path(__file__).parents[1] / "Tests/FoveaTokenizersTests/Fixtures/templates.json"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}

SNIPPETS = r"""
{{ 'a' ~ 1 ~ none ~ true ~ 1.5 ~ [1, 'b', {'c': none}] ~ (1,) ~ (1, 2) }}
{{ [1, 2, 3][-1] }}{{ [1, 2, 3][1:] }}{{ [1, 2, 3, 4][::-2] }}{{ 'hello'[1:3] }}{{ 'hello'[::-1] }}{{ 'héllo'[1] }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 1 + 2 * 3 - 4 }} {{ 10 % 4.5 }} {{ -2 ** 2 }}
{{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ 3 in [1, 2, 3] }} {{ 'ell' in 'hello' }} {{ 'k' not in {'k': 1} }}
{{ not true or true and false }} {{ 'x' if false }}|{{ 'x' if false else 'y' }} {{ none or 'd' }} {{ 0 and 1 }}
{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}
{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% for a, b in {'x': 1, 'y': 2}.items() %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ a }}={{ b }};{% endfor %}
{% for x in [1, 2, 3, 4] if x is even %}{{ x }}{{ loop.previtem is defined }}{{ loop.nextitem }}{% else %}none{% endfor %}
{% for x in [] %}{{ x }}{% else %}none{% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x > 4 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% macro m(a, b='z', c=none) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, c=3) }}{{ m(b=2, a=1) }}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}inner{% endcall %}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}
{% set block %}  text {{ 1 }} {% endset %}[{{ block }}]{% set up | upper | trim %} abc {% endset %}[{{ up }}]
{% filter upper %}abc{{ 'd' }}{% endfilter %}{% with a=1, b='2' %}{{ a }}{{ b }}{% endwith %}
{{ '  a b  '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'a,b,c'.split(',') }}|{{ ' a  b '.split() }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ 'a-b-c'.split('-', 1)[1] }}
{{ 'hello world'.title() }} {{ 'HELLO'.capitalize() }} {{ 'a'.upper() }} {{ 'ß'.upper() }} {{ "it's".title() }}
{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }}{{ 'abcabc'.find('c') }}{{ 'abcabc'.rfind('c') }}{{ 'abc'.find('z') }}
{{ 'a.b.c'.replace('.', '-') }}{{ 'aaa'.replace('a', 'b', 2) }}{{ '-'.join(['a', 'b']) }}{{ '12'.isdigit() }}{{ ''.isdigit() }}
{{ '%.3s|%5.2s|%-6d|%+d|% d|%05d|%-05d|%+06.1f|%05s|%x' % ('abcdef', 'xyz', 7, 8, 9, -3, -4, 2.25, 'z', -255) }}
{{ 'x%sy%d' | format('a', 3) }}|{{ '%05.2f|%-4s|%x' % (3.14159, 'ab', 255) }}
{{ [3, 1, 2] | sort }}{{ ['b', 'A', 'c'] | sort }}{{ [3, 1, 2] | sort(reverse=true) }}{{ [{'a': 2}, {'a': 1}] | sort(attribute='a') }}
{{ [1, 2, 3] | join(', ') }}{{ [{'a': 1}, {'a': 2}] | map(attribute='a') | list }}{{ ['a', 'b'] | map('upper') | join }}
{{ [1, 0, 2] | select | list }}{{ [1, 2, 3] | reject('odd') | list }}{{ [{'r': 'a'}, {'r': 'b'}] | selectattr('r', 'equalto', 'b') | list }}
{{ [{'r': 'a'}, {}] | selectattr('r', 'defined') | list | length }}{{ [{'r': 'a'}, {'r': 'b'}] | rejectattr('r', 'in', ['a']) | map(attribute='r') | first }}
{{ {'b': 1, 'a': 2} | dictsort }}{{ {'b': 1, 'a': 2} | items | list }}{{ {'b': 1} | length }}{{ 'abc' | length }}{{ 'abc' | first }}{{ [1, 2] | last }}
{{ missing | default('d') }}{{ '' | default('d', true) }}{{ none | default('d') }}{{ missing is defined }}{{ missing is undefined }}{{ missing }}
{{ 3.7 | int }} {{ '12' | int }} {{ 'x' | int }} {{ '1.5' | float }} {{ 3.14159 | round(2) }} {{ 2.5 | round }} {{ 7 | string }} {{ -3 | abs }}
{{ {'a': [1, 2.0, 'x"y', none, true], 'é': '<&>\n'} | tojson }}
{{ {'b': {'c': []}, 'a': [1, {}]} | tojson(indent=2) }}
{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}{{ [1, 2] | tojson(separators=(',', ':')) }}{{ 'ünï\u2028' | tojson }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a b c' | wordcount }}|{{ '<a&b>' | escape }}|{{ [1, 1, 2] | unique | list }}|{{ [1, 2] | sum }}
{{ [1, 2, 3] | min }}{{ ['b', 'a'] | max }}{{ [1, 2, 3] | reverse | list }}{{ 'abc' | reverse }}{{ ' x ' | trim }}{{ 'abcabc'.count('bc') }}
{{ 1 is number }}{{ 'a' is string }}{{ {} is mapping }}{{ [] is sequence }}{{ 'a' is iterable }}{{ true is boolean }}{{ 1 is integer }}{{ 1.0 is float }}{{ none is none }}{{ 4 is divisibleby 2 }}{{ 'a' is in 'abc' }}{{ true is number }}
{{ 1 is not string }}{{ not 1 is string }}{{ 2 is odd or 2 is even }}{{ 'x' is eq 'x' }}{{ 1 is sameas 1 }}{{ true is true }}{{ 1 is true }}
{%- if true -%}  a  {%- endif -%}  b  {%+ if true %} c {% endif %}
   {% if true %}
line
   {% endif %}
end
{# comment #}
after{# a
b -#}   x
{% raw %}{{ not }} {% evaluated %}{% endraw %}!
a {{- ' b ' -}} c
{{ {'a': 1}.get('a') }}{{ {'a': 1}.get('b') }}{{ {'a': 1}.get('b', 2) }}{{ {'items': 3}['items'] }}{{ {'a': {'b': 1}}.a.b }}{{ {'a': 1}.b }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set d = dict(x=1, y='z') %}{{ d }}{{ d.x }}{% for k in d %}{{ k }}{% endfor %}
{{ "double \"quoted\" \\ \t'" }}{{ 'it\'s' }}{{ ['it\'s', "a\"b", 'both\'"'] }}{{ 'é' ~ '\u00e9' }}
{{ raise_exception('no ' ~ 'good') }}
{{ missing.attribute }}
{{ 'a' + 1 }}
{{ [].append(1) }}
{{ ''.__class__ }}
{{ undefined_function() }}
{{ 1 // 0 }}
{{ {'a': 1}.pop('a') }}
{% for x in 5 %}{% endfor %}
{{ 'a' | nonsense }}
{% endif %}
{{ (1 }}
{{ range(3) | list }}{{ range(5, 1, -2) | list }}{{ (range(3) | list)[1] }}{{ [[1, 2], [3]] | sum(start=[]) }}
{{ messages[0].content | length }}{{ messages[-1]['role'] }}{{ messages | length }}{{ (messages | last).content[:2] }}
{% for m in messages[1:] %}{{ m.role }}:{{ m['content'] | trim }}{{ "\n" if not loop.last }}{% endfor %}
{% for k, v in [{'g': 1, 'n': 'a'}, {'g': 2, 'n': 'b'}, {'g': 1, 'n': 'c'}] | groupby('g') %}{{ k }}{{ v | map(attribute='n') | list }}{% endfor %}
{{ 1e3 }} {{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1e20 }} {{ 1_000 }} {{ 12345678901234 * 10 }}
{{ 'a' 'b' }}{{ ('x') }}{{ [1, 2,] }}{{ {'a': 1,} }}{{ true and 'yes' }}{{ not '' }}
{%- set ns = namespace(found=false, items=[]) -%}{% for x in [1, 2] %}{% set ns.items = ns.items + [x] %}{% endfor %}{{ ns.items }}{{ ns.found }}
{{ 'Hello'.lower().upper().strip() }}{{ 'a b'.split()[0] }}{{ messages[0]['content'].split('<x>')[-1].lstrip('\n') }}
{{- messages[0].role if messages and messages[0].role == 'system' else 'none' -}}
{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join('|') }}
{% generation %}answer{% endgeneration %}{{ 'x'.isalpha() }}{{ 'X'.isupper() }}{{ 'prefix-a'.removeprefix('prefix-') }}
"""

CHATML = """{%- if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
LLAMA2 = """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% if loop.index0 == 0 and system_message %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""
GEMMA = """{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}{%- set loop_messages = messages[1:] -%}{%- else -%}{%- set first_user_prefix = "" -%}{%- set loop_messages = messages -%}{%- endif -%}
{%- for message in loop_messages -%}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}{{ message['content'] | trim }}{%- else -%}{%- for item in message['content'] -%}{%- if item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}{%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"""
THINKING = """{%- macro section(name, body) %}<{{ name }}>{{ body }}</{{ name }}>{% endmacro %}
{%- set ns = namespace(last=-1) %}
{%- for message in messages[::-1] %}{% set index = messages | length - 1 - loop.index0 %}{% if ns.last < 0 and message.role == 'user' %}{% set ns.last = index %}{% endif %}{% endfor %}
{%- if tools %}{{ section('tools', tools | map('tojson') | join('\\n')) }}{% endif %}
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{%- set content = message.content.split('</think>')[-1].lstrip('\\n') if '</think>' in message.content else message.content %}
<|assistant|>{{ message.content if loop.index0 > ns.last else content }}
{%- for call in message.tool_calls or [] %}
{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson }}
{%- endfor %}
{%- else %}
<|{{ message.role }}|>{{ message.content }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
<|assistant|>
{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}
{%- endif %}"""
FAMILIES = {"chatml": CHATML, "llama2": LLAMA2, "gemma": GEMMA, "thinking": THINKING}

TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather <now> & later.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "Städte"}, "days": {"type": "integer"}},
    "required": ["city"]}}}
CONVERSATIONS = {
    "one": {"messages": [{"role": "user", "content": "Hello!"}]},
    "system": {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hi \n"}]},
    "turns": {"messages": [
        {"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "<think>\nsum\n</think>\n\n4"},
        {"role": "user", "content": "And <b>doubled</b>? ünï ✓"}]},
    "tools": {"tools": [TOOL], "messages": [
        {"role": "system", "content": "Use tools."}, {"role": "user", "content": "Weather in Köln?"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "call12345", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2}}}]},
        {"role": "tool", "name": "get_weather", "tool_call_id": "call12345", "content": "{\"sky\": \"clear\"}"},
        {"role": "assistant", "content": "Clear."}, {"role": "user", "content": "Thanks."}]},
    "answered": {"add_generation_prompt": False, "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    "odd": {"messages": [{"role": "assistant", "content": "first"}, {"role": "assistant", "content": "second"}]},
}


def case(name: str, template: str, inputs: dict) -> dict:
    variables = {"add_generation_prompt": True, "tools": None, "documents": None, **TOKENS, **inputs}
    result = {"name": name, "template": template, "variables": variables}
    try:
        return {**result, "text": _compile_jinja_template(template).render(**variables)}
    except Exception as error:
        return {**result, "error": f"{type(error).__name__}: {error}"}


def snippets() -> list[str]:
    """One a line, but for those that need several."""
    lines, result, index = SNIPPETS.strip("\n").split("\n"), [], 0
    while index < len(lines):
        count = 4 if lines[index].startswith("   {% if") else 3 if lines[index].startswith("{# comment") else 1
        result.append("\n".join(lines[index:index + count]))
        index += count
    return result


def published() -> dict[str, str]:
    """The templates in the source of llama-cpp-python, by name."""
    with tempfile.TemporaryDirectory() as folder:
        archive = packages.distribution("llama-cpp-python", "0.3.36", ".tar.gz", pathlib.Path(folder))
        with tarfile.open(archive) as members:
            return {pathlib.Path(member.name).stem: members.extractfile(member).read().decode()
                    for member in members if "/models/templates/" in member.name and member.name.endswith(".jinja")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", type=pathlib.Path, help="folder of *.jinja files")
    parser.add_argument("--published", action="store_true", help="those of llama.cpp's source")
    parser.add_argument("out", nargs="?", type=pathlib.Path, default=OUT)
    options = parser.parse_args()
    if options.published:
        sources, cases = published(), []
    elif options.templates:
        sources = {path.stem: path.read_text() for path in sorted(options.templates.rglob("*.jinja"))}
        cases = []
    else:
        sources = FAMILIES
        cases = [case(text, text, CONVERSATIONS["turns"]) for text in snippets()]
    for name, source in sources.items():
        for conversation, inputs in CONVERSATIONS.items():
            cases.append(case(f"{name} {conversation}", source, inputs))
    options.out.write_text(json.dumps(cases, ensure_ascii=False, indent=None, separators=(",", ":")))
    print(f"{options.out}: {len(cases)} cases, {sum('error' in entry for entry in cases)} of them errors")


if __name__ == "__main__":
    main()
