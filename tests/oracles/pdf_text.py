"""The text of a PDF as our typesetter writes it: enough of the format to see what is printed."""

import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*)\r?\nendstream", re.DOTALL)
_FONT = re.compile(rb"/(f\d+) (\d+) 0 R")
_MAPPED = re.compile(rb"<([0-9A-F]{4})> <([0-9A-F]+)>")
_NESTED = rb"(?:[^\\()]|\\.|\((?:[^\\()]|\\.|\((?:[^\\()]|\\.|\([^()]*\))*\))*\))"
_SHOWN = re.compile(rb"/(f\d+) [\d.]+ Tf|\((" + _NESTED + rb"*)\)", re.DOTALL)
"""Which font, or a string: brackets in it are escaped, or balanced, hardly ever deeply."""
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def pdf_text(document: bytes) -> str:
    """All text in the order it is drawn, without white space: lines break wherever they may.

    Source: ISO 32000-1, 7.3.4 (strings), 9.4 (text objects), 9.10.3 (ToUnicode).
    """
    objects = {int(number): body for number, body in _OBJECT.findall(document)}
    fonts: dict[bytes, dict[int, str]] = {}
    for body in objects.values():
        named = re.search(rb"/Font<<(.*?)>>", body)
        for name, number in _FONT.findall(named.group(1)) if named else ():
            fonts[name] = _letters(objects, int(number))
    contents = [_unpacked(body) for body in objects.values() if b"/FlateDecode" in body]
    drawn = "".join(_drawn(content, fonts) for content in contents if b" Tf" in content)
    return without_space(drawn)


def without_space(text: str) -> str:
    return "".join(text.replace("\u200b", "").split())


def _unpacked(body: bytes) -> bytes:
    packed = _STREAM.search(body)
    return zlib.decompress(packed.group(1)) if packed else b""


def _letters(objects: dict[int, bytes], font: int) -> dict[int, str]:
    """What each glyph of a font stands for."""
    mapping = re.search(rb"/ToUnicode (\d+) 0 R", objects[font])
    assert mapping is not None
    table = _unpacked(objects[int(mapping.group(1))])
    return {
        int(glyph, 16): bytes.fromhex(letters.decode()).decode("utf-16-be")
        for glyph, letters in _MAPPED.findall(table.partition(b"endcodespacerange")[2])
    }


def _drawn(content: bytes, fonts: dict[bytes, dict[int, str]]) -> str:
    letters: dict[int, str] = {}
    drawn: list[str] = []
    for font, string in _SHOWN.findall(content):
        if font:
            letters = fonts[font]
            continue
        glyphs = _ESCAPE.sub(_unescaped, string)
        drawn += [
            letters.get(int.from_bytes(glyphs[at : at + 2]), "?") for at in range(0, len(glyphs), 2)
        ]
    return "".join(drawn)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    code = escape.group(1)
    return bytes([int(code, 8)]) if code.isdigit() else _ESCAPED.get(code, code)
