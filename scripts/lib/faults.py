# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Faults made by chance in C headers: operators, constants, conditions, statements left out or in the wrong order.

For scripts/mutants --random N. A fault is one edit of one file's text. Nothing is parsed: the headers are all in one
style, in which a function begins with "{" and ends with "}" in the first column.
"""
import hashlib
import re

OPERATORS = [("==", "!="), ("!=", "=="), ("<=", "<"), (">=", ">"), (" < ", " <= "), (" > ", " >= "), ("&&", "||"),
             ("||", "&&"), (" & ", " | "), (" | ", " & "), (" + ", " - "), (" - ", " + "), ("<<", ">>"), (">>", "<<"),
             ("|=", "&="), ("&=", "|="), ("++", "--"), ("--", "++"), (" ^ ", " | "), ("& ~", "& ")]
STATEMENT = re.compile(r"^\s+(?!return\b|break;|continue;|goto\b|const\b|static\b|struct\b|enum\b|u?int\d*_t\b"
                       r"|unsigned\b|bool\b|hvpt_entry\b|size_t\b|char\b|case\b|default\b|else\b|\}|\{|\*|/)"
                       r"[\w*(][^;{}]*;\s*$")
NUMBER = re.compile(r"(?<![\w.])(\d+)([uU]?[lL]*)(?![\w.])")
CONDITION = re.compile(r"\s*(?:\} else )?(?:if|while) \((.*)\)( \{)?$")
DEFINITION = re.compile(r"\s*#\s*define\s+\w+\s+\S*\d")


class Function:
    """A function: where it starts, its opening brace and its end are; its name, result, parameters, and their names."""

    def __init__(self, code, start, opening, end):
        self.start, self.opening, self.end = start, opening, end
        before, _, parameters = code[start:opening].rstrip()[:-1].partition("(")
        self.name = before.split()[-1].lstrip("*")
        self.result = " ".join(word for word in before.rstrip()[:-len(self.name)].split()
                               if word not in ("static", "inline") and not re.fullmatch(r"HV[A-Z]+_[A-Z]+", word))
        self.parameters = parameters
        self.arguments = [argument(parameter) for parameter in split(parameters) if parameter.strip() != "void"]


def split(text):
    """The parts between the commas that no parenthesis encloses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def argument(parameter):
    """The name that a parameter is declared with."""
    called = re.search(r"\(\s*\*\s*(\w+)", parameter)
    return called.group(1) if called else re.findall(r"\w+", re.sub(r"\[[^\]]*\]", "", parameter))[-1]


def code_of(text):
    """The text with comments and strings blanked out, so that places stay where they are."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"", blank, text, flags=re.S)


def functions_in(code):
    """Every function that the code defines, from the top."""
    for found in re.finditer(r"^\{.*?^\}[^\n]*\n", code, re.M | re.S):
        start = found.start()
        while start:
            above = code.rfind("\n", 0, start - 1) + 1
            line = code[above:start].strip()
            if not line or line.startswith("#") or line.endswith((";", "}")):
                break
            start = above
        yield Function(code, start, found.start(), found.end())


def edits_of(text, code, lines, starts, number):
    """The edits that the line allows: (what, where it begins, where it ends, the new text)."""
    line, at = lines[number], starts[number]
    for old, new in OPERATORS:
        for found in re.finditer(re.escape(old), line):
            following = line[found.end():found.end() + 1] if not old.endswith(" ") else ""
            if old.strip() in ("<<", ">>", "&", "|", "<", ">", "+", "-") and re.search(r"[<>=&|+-]", following):
                continue
            yield "%s becomes %s" % (old.strip(), new.strip()), at + found.start(), at + found.end(), new
    for found in NUMBER.finditer(line):
        value = int(found.group(1))
        yield "%d becomes %d" % (value, value + 1), at + found.start(1), at + found.end(1), str(value + 1)
    found = CONDITION.match(line)
    if found:
        begin, end = at + found.start(1), at + found.end(1)
        yield "condition reversed", begin, end, "!(" + text[begin:end] + ")"
        yield "condition never holds", begin, end, "0 && (" + text[begin:end] + ")"
    if STATEMENT.match(line):
        begin, end = at + len(line) - len(line.lstrip()), at + len(line)
        yield "left out", begin, end, ";"
        if number + 1 < len(lines) and STATEMENT.match(lines[number + 1]):
            after = starts[number + 1]
            past = after + len(lines[number + 1])
            yield "in the wrong order", at, past, text[after:past] + "\n" + text[at:end]


def faults_in(name, text):
    """Every fault of the file: where it is, what it is, the edit that makes it, and the function (None: a macro)."""
    code = code_of(text)
    lines = code.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    inside = {}
    for function in functions_in(code):
        for number, start in enumerate(starts[:-1]):
            if function.opening < start < function.end:
                inside[number] = function
    seen = {}
    for number, line in enumerate(lines):
        directive = line.lstrip().startswith("#")
        function = inside.get(number)
        if directive and not DEFINITION.match(line) or not directive and function is None:
            continue
        whole = " ".join((code[function.start:function.end] if function else line).split())
        for what, begin, end, new in edits_of(text, code, lines, starts, number):
            fault = {"file": name, "function": function.name if function else "", "text": line.strip(), "what": what}
            place = "\n".join(fault.values())
            seen[place] = fault["nth"] = seen.get(place, 0) + 1
            fault["id"] = hashlib.sha256(("%s\n%d" % (place, fault["nth"])).encode()).hexdigest()[:16]
            fault["key"] = hashlib.sha256((fault["id"] + whole).encode()).hexdigest()[:16]
            fault.update(line=number + 1, edit=(begin, end, new), within=None if directive else function)
            yield fault
