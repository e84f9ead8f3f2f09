#!/usr/bin/python3
"""embed_assets.py FOLDER OUT.c: makes the table of master/api/page_assets.h of the files below FOLDER.

Each file goes in as it is and compressed as `gzip -9n` does, the second only where it is smaller. The bytes themselves are taken by the
assembler (.incbin), so a large font costs the compiler nothing. The compressed ones lie beside OUT.c.
"""

import base64
import gzip
import hashlib
import pathlib
import re
import shutil
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
    ".map": "application/json",
}
_INLINE = re.compile(rb"<script(?![^>]*\bsrc\s*=)[^>]*>(.*?)</script>", re.S | re.I)


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def inline_scripts(data):
    """What a Content-Security-Policy must name for the scripts that stand in a document itself."""
    digests = (hashlib.sha256(body).digest() for body in _INLINE.findall(data))
    return "".join(f" 'sha256-{base64.b64encode(d).decode()}'" for d in digests)


def incbin(symbol, path):
    return (f'__asm__(".section .rodata\\n{symbol}: .incbin " {c_string(c_string(str(path)))} "\\n"\n'
            f'        "{symbol}_end:\\n.previous\\n");\n'
            f'extern const char {symbol}[] __asm__("{symbol}"), {symbol}_end[] __asm__("{symbol}_end");\n')


def embed(folder, out):
    compressed = out.with_suffix(".gz.d")
    shutil.rmtree(compressed, ignore_errors=True)
    compressed.mkdir(parents=True)
    symbols, rows = [], []
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    if not (folder / "index.html").is_file():
        sys.exit(f"embed_assets.py: '{folder}' has no index.html")
    for i, path in enumerate(files):
        data = path.read_bytes()
        name = f"fl_page_{i}"
        symbols.append(incbin(name, path))
        packed = gzip.compress(data, compresslevel=9, mtime=0)
        gz, gz_len = "0", "0"
        if len(packed) < len(data):
            (compressed / str(i)).write_bytes(packed)
            symbols.append(incbin(name + "_gz", compressed / str(i)))
            gz, gz_len = name + "_gz", str(len(packed))
        if path.suffix not in TYPES:
            sys.exit(f"embed_assets.py: '{path}' is of no type that the page serves; add its suffix to TYPES")
        scripts = inline_scripts(data) if path.suffix == ".html" else ""
        rows.append(f"    {{{c_string('/' + path.relative_to(folder).as_posix())}, {c_string(TYPES[path.suffix])}, "
                    f"\"{hashlib.sha256(data).hexdigest()[:24]}\", {name}, {len(data)}, {gz}, {gz_len}, {c_string(scripts)}}},\n")
    out.write_text("/* Made by tools/embed_assets.py. */\n#include \"master/api/page_assets.h\"\n\n" + "".join(symbols) +
                   "\nconst struct page_asset page_assets[] = {\n" + "".join(rows) + "};\n"
                   "const size_t page_assets_n = sizeof(page_assets) / sizeof(page_assets[0]);\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    embed(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
