#!/usr/bin/env python3
"""Makes an English text of 157,000 words for evaluations: the prose of The Debian Administrator's Handbook.

usage: handbook_text.py OUTPUT [--package FILE.deb]

Takes Debian's package debian-handbook (35 MB, downloaded with apt-get unless given; GPL-2+ or CC-BY-SA-3.0) and writes
the paragraphs and headings of its English pages in the order of the contents, one a line with an empty line between.
Screens, listings and navigation are left out. Needs apt-get, dpkg-deb and nothing of Python's but its library.
"""

import argparse
import html.parser
import pathlib
import re
import subprocess
import sys
import tempfile

PAGES = "usr/share/doc/debian-handbook/html/en-US"
VOID = {"img", "br", "hr", "link", "meta", "input", "col"}


class Prose(html.parser.HTMLParser):
    """Collects the text of paragraphs and headings, and the pages that a table of contents names."""

    def __init__(self):
        super().__init__()
        self.paragraphs, self.pages = [], []
        self.open = []  # of every open element, whether its text counts
        self.text = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        page = (attributes.get("href") or "").split("#")[0]
        if tag == "a" and page.endswith(".html") and "/" not in page and page not in self.pages:
            self.pages.append(page)
        if tag in VOID:
            return
        counts = bool(self.open and self.open[-1])
        if tag == "p" or (tag == "div" and attributes.get("class") == "para") or re.fullmatch("h[1-6]", tag):
            self.end_paragraph()
            counts = True
        elif tag in ("pre", "ul", "ol", "dl", "table", "head", "script"):
            self.end_paragraph()
            counts = False
        self.open.append(counts)

    def handle_endtag(self, tag):
        if tag in VOID or not self.open:
            return
        self.open.pop()
        if not (self.open and self.open[-1]):
            self.end_paragraph()

    def handle_data(self, data):
        if self.open and self.open[-1]:
            self.text.append(data)

    def end_paragraph(self):
        paragraph = " ".join("".join(self.text).split())
        if paragraph:
            self.paragraphs.append(paragraph)
        self.text = []


def read(path):
    prose = Prose()
    prose.feed(path.read_text(encoding="utf-8"))
    prose.end_paragraph()
    return prose


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--package", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        package = options.package
        if package is None:
            subprocess.run(["apt-get", "download", "-qq", "debian-handbook"], cwd=folder, check=True)
            package = next(folder.glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", package.resolve(), folder], check=True)
        pages = folder / PAGES
        names = [page for page in read(pages / "index.html").pages if page != "index.html"]
        paragraphs = [paragraph for page in names for paragraph in read(pages / page).paragraphs]
    text = "\n\n".join(paragraphs) + "\n"
    options.output.write_text(text, encoding="utf-8")
    print(f"{options.output}: {len(names)} pages, {len(paragraphs)} paragraphs, {len(text.split())} words, "
          f"{len(text.encode())} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
