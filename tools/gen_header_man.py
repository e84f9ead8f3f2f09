#!/usr/bin/python3
"""Writes the manual page of a public header from the header itself: gen_header_man.py libframework/fairlead/x.h > x.3

The header's first comment gives NAME ("fairlead/x.h - what it is") and DESCRIPTION; `/* ---- title ---- text */` begins a
section; every declaration is shown with the comment that stands before it or behind it on its line.
"""

import itertools
import re
import sys
import textwrap

PIECE = re.compile(
    r"""(?P<comment>/\*.*?\*/)
      | (?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)
      | (?P<linkage>extern[ ]"C"[ ]\{ | ^\}$)
      | (?P<declaration>[A-Za-z_](?:/\*.*?\*/|\{(?:/\*.*?\*/|[^{}])*\}|[^;{}])*;)""",
    re.S | re.M | re.X)


def comment_text(comment):
    """The words of a comment; an empty line separates paragraphs."""
    lines = [re.sub(r"^[ \t]*\*?[ \t]?", "", line).rstrip() for line in comment[2:-2].strip().splitlines()]
    return "\n".join(lines).strip()


def pieces(text):
    """(kind, text, whether it stands on the line where the last declaration ended)."""
    end_of_declaration = -1
    for match in PIECE.finditer(text):
        kind = match.lastgroup
        same_line = end_of_declaration >= 0 and "\n" not in text[end_of_declaration:match.start()]
        end_of_declaration = match.end() if kind == "declaration" else -1
        if kind in ("comment", "declaration"):
            yield kind, match.group(0), same_line


def escape(line):
    line = line.replace("\\", "\\e")
    return "\\&" + line if line[:1] in (".", "'") else line


def sentences(lines):
    words = re.sub(r"\s+", " ", " ".join(lines)).strip()
    return [escape(line) for line in re.sub(r"([.:?]) (?=[A-Z])", r"\1\n", words).split("\n") if line]


def prose(text):
    """Paragraphs as mdoc, one sentence a line; lines that are indented stay as they are."""
    out = []
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
        if number:
            out.append(".Pp")
        for indented, lines in itertools.groupby(paragraph.split("\n"), lambda line: line.startswith("  ")):
            out += literal([escape(line) for line in lines]) if indented else sentences(lines)
    return out


def declaration(text):
    text = re.sub(r"\bFW_PUBLIC\s+", "", text)
    if "{" in text:
        return [escape(line.rstrip()) for line in text.split("\n")]
    joined = re.sub(r"\s+", " ", text)
    joined = re.sub(r"\* (?=\w)", "*", joined).replace("( ", "(")
    # Breaks come between parameters only.
    kept = re.sub(r" ", "\0", joined).replace(",\0", ", ")
    lines = textwrap.wrap(kept, 76, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return [escape(line.replace("\0", " ")) for line in lines]


def literal(lines):
    return [".Bd -literal", *lines, ".Ed"]


def page(text):
    found = list(pieces(text))
    if not found or found[0][0] != "comment":
        raise SystemExit("the header does not begin with a comment")
    title, _, description = comment_text(found[0][1]).partition("\n\n")
    name, _, what = re.sub(r"\s+", " ", title).partition(" - ")
    base = name.split("/")[-1].removesuffix(".h")
    out = [".\\\" Made from the header by make docs.", ".Dd November 21, 2026", f".Dt FAIRLEAD_{base.upper()} 3", ".Os",
           ".Sh NAME", f".Nm fairlead_{base}", f".Nd {what.rstrip('.')}", ".Sh LIBRARY",
           "pkg-config --cflags --libs framework", ".Sh SYNOPSIS", f".In {name}", ".Sh DESCRIPTION", *prose(description)]
    pending, block, words = None, [], []

    def flush():
        nonlocal block, words
        if block:
            out.extend(literal(block))
            out.extend(words)
        block, words = [], []

    for index, (kind, piece, same_line) in enumerate(found[1:]):
        if kind == "declaration":
            if pending:
                flush()
            block += declaration(piece)
            if pending:
                words += prose(pending)
                following = found[index + 2] if index + 2 < len(found) else None
                if not (following and following[2]):
                    flush()
            pending = None
            continue
        comment = comment_text(piece)
        section = re.match(r"-{2,}\s*(.*?)\s*-{2,}\s*(.*)", comment, re.S)
        if same_line:
            words += prose(comment)
            flush()
        elif section:
            flush()
            out.append(f".Ss {section.group(1).capitalize()}")
            out.extend(prose(section.group(2)) if section.group(2) else [])
        else:
            pending = comment
    flush()
    others = [o for o in ("framework", "scheduler", "executor") if o != base]
    out += [".Sh SEE ALSO", " ,\n".join(f".Xr fairlead_{o} 3" for o in sorted(others))]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as header:
        sys.stdout.write(page(header.read()))
