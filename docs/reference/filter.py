#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""The headers as Doxygen wants them: every comment is a documentation comment, and their words are words, not commands.

usage: filter.py HEADER
"""
import re
import sys

COMMENT = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', re.S)


def document(match):
    text = match.group()
    if not text.startswith("/*") or text.startswith("/* SPDX") or text.startswith("/* ----"):
        return "" if text.startswith("/*") else text
    if text.startswith("/**"):
        return text
    # A comment behind a declaration belongs to what stands before it; in one of ours < and # and % are themselves.
    before = match.string[match.string.rfind("\n", 0, match.start()) + 1:match.start()].strip()
    escaped = re.sub(r"([<>#%&@\\$])", r"\\\1", text[2:-2])
    return ("/**<" if before and before[-1] in ",;" or re.match(r"#define \S", before) else "/**") + escaped + "*/"


def page(text):
    """A page of the guide: what it links to and is no page of the site stays as words."""
    known = re.compile(r"(?:docs/|\.\./)?(?:guide/[\w-]+|tasks|first-map|fault-handler|dirty-logging|live-migration|split-view-hook|nested-walk|"
                       r"out-of-memory|flushes|porting|glossary|api-policy|contracts|architecture|hvctl|command)\.md")
    return re.sub(r"(!?)\[([^\]]*)\]\(([^)]*)\)",
                  lambda link: link.group() if link[3].startswith("http") or not link[1] and known.fullmatch(link[3]) else link[2], text)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    if sys.argv[1].endswith(".md"):
        sys.stdout.write(page(text))
        return
    text = COMMENT.sub(document, text)
    # The comment that opens a file is about the file.
    text = re.sub(r"\A\s*/\*\*", "/** @file\n * ", text, count=1)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
