#!/usr/bin/env python3
"""Makes Sources/FoveaTokenizers/TokenizerJSON/Stages/DecompositionTable.swift from Python's Unicode data.

    Tools/make-normalization-table.py > Sources/FoveaTokenizers/TokenizerJSON/Stages/DecompositionTable.swift

Characters that Hugging Face's tokenizers do not decompose, because their Unicode is older, are left out.
"""

import unicodedata

from tokenizers import normalizers

HEADER = """\
// Made by Tools/make-normalization-table.py from the Unicode Character Database; do not edit.

/// The decompositions of characters, in one step, Hangul apart: the distance from the character before in hexadecimal,
/// K for a compatibility mapping, C for a canonical one, X for a canonical one that is not composed again; then the
/// characters of the mapping.
let decompositionTable: StaticString = \"\"\""""


def entries():
    nfc, nfkd = normalizers.NFC(), normalizers.NFKD()
    previous = 0
    for code in range(0x110000):
        character = chr(code)
        mapping = unicodedata.decomposition(character).split()
        if not mapping or 0xD800 <= code < 0xE000 or nfkd.normalize_str(character) == character:
            continue
        kind = "C" if nfc.normalize_str(character) == character else "X"
        if mapping[0].startswith("<"):
            kind, mapping = "K", mapping[1:]
        yield f"{code - previous:x}{kind}" + ",".join(f"{int(part, 16):x}" for part in mapping)
        previous = code


def main():
    lines = [""]
    for entry in entries():
        if len(lines[-1]) + len(entry) > 112:
            lines.append("")
        lines[-1] += entry + " "
    print(HEADER)
    print(" \\\n".join("  " + line.rstrip() for line in lines))
    print('  """')


if __name__ == "__main__":
    main()
