"""Letters of other scripts that are drawn like Latin ones, and styled letters that compatibility normalisation (NFKC) leaves alone.

Source: the single-character Latin targets of Unicode's confusables (UTS 39, Unicode 16) for Cyrillic, Greek, Armenian, Cherokee, Canadian syllabics, Lisu, Coptic, letter-like symbols and the
Latin extensions, with the lower-case Cyrillic letters that attacks use beside them.
"""

from __future__ import annotations

from itertools import chain

_LATIN: dict[str, str] = {
    "a": "аαɑ⍺ạ", "b": "вЬƄ", "c": "сϲⲥⅽ", "d": "ԁⅾժ", "e": "еҽ℮ε", "f": "ϝƒքẝ", "g": "ɡցԍᶃ", "h": "һհнᏂ", "i": "іıɩι⍳Ꭵⲓ", "j": "јϳʝ", "k": "κкⲕ", "l": "ӏℓⅼǀ∣ן",
    "m": "мⅿ", "n": "ոռпηո", "o": "оοօσ০๐୦ഠᴑⲟ", "p": "рρϱⲣ", "q": "ԛզգ", "r": "гⲅꭇ", "s": "ѕƽꮪ", "t": "тτ", "u": "υսʋꭎ", "v": "νѵⅴ", "w": "ԝաѡɯ", "x": "хχⅹ᙮", "y": "уүγყỿ", "z": "ʐᶎ",
    "A": "АΑᎪᗅꓮ", "B": "ВΒᏴᗷꓐ", "C": "СϹᏟⅭꓚⲤ", "D": "ᎠᗞꓓⅮ", "E": "ЕΕᎬꓰ⋿", "F": "Ϝᖴꓝ", "G": "ԌᏀꓖ", "H": "НΗᎻᕼꓧⲎ", "I": "ІΙӀⅠꓲⲒ", "J": "ЈᎫᒍꓙͿ", "K": "КΚᏦꓗⲔ", "L": "ᏞᒪꓡⅬ",
    "M": "МΜᎷᗰꓟⅯⲘ", "N": "ΝꓠⲚ", "O": "ОΟՕꓳⲞ", "P": "РΡᏢᑭꓑⲢ", "Q": "Ԛⵕ", "R": "ᎡᏒᖇꓣ", "S": "ЅՏᏕꓢ", "T": "ТΤᎢꓔⲦ", "U": "ՍᑌꓴႮ", "V": "ѴᏙᐯꓦⅤ", "W": "ԜᎳꓪ", "X": "ХΧⅩꓫ᙭Ⲭ",
    "Y": "УΥҮᎩꓬⲨ", "Z": "ΖᏃꓜⲌ",
}  # fmt: skip

LOOK_ALIKE: dict[int, str] = {ord(other): latin for latin, others in _LATIN.items() for other in others}
"""Code point of a letter that is drawn like a Latin one → that letter."""

STYLED: dict[int, str] = {
    **dict(zip(map(ord, "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ"), "abcdefghijklmnopqrstuvwyz", strict=True)),
    **{code: chr(ord("A") + at) for first in (0x1F130, 0x1F150, 0x1F170) for at, code in enumerate(range(first, first + 26))},
}  # fmt: skip
"""Small capitals and enclosed letters → the letter."""

UPSIDE_DOWN: dict[int, str] = dict(
    zip(map(ord, "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz"), "abcdefghijklmnopqrstuvwxyz", strict=True)
)
"""Letters that turned by half a circle are drawn like another one."""

SPACES: dict[int, str] = dict.fromkeys(
    chain((0x85, 0xA0, 0x1680, 0x202F, 0x205F, 0x2028, 0x2029, 0x3000), range(0x2000, 0x200B)), " "
)
"""Blanks and line separators of other widths → a blank."""

QUOTES: dict[int, str] = {0x2018: "'", 0x2019: "'", 0x02BC: "'", 0xFF07: "'", 0x2010: "-", 0x2011: "-"}
"""Apostrophes and hyphens → the ASCII ones, which rules are written with."""
