"""The process in which espeak-ng speaks: `python espeak_process.py LIBRARY DATA`, an order as JSON on standard input,
sample rate (4 bytes) and 16-bit samples on standard output. It says the same for the same order, which one that has
spoken before would not, and it keeps a library under the GPL apart from everything else.

Standard library alone, and no imports of this project: it is started for every sentence.
"""

import ctypes
import json
import sys
from typing import Any

_SYNCHRONOUS, _STAY = 2, 0x8000  # output mode; option: do not end the process where the data is missing
_RATE, _PITCH, _RANGE = 1, 3, 4  # numbers of its parameters
_UTF8 = 1
NO_DATA, NO_VOICE = 3, 4  # exit codes

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    _fields_ = (  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),  # a byte of priority, which may be 0, then the code
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


def main(library_path: str, data_path: str) -> int:
    """Exit code 0, NO_DATA, or NO_VOICE with the known languages on standard error."""
    order: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    library = ctypes.CDLL(library_path)
    rate = int(library.espeak_Initialize(_SYNCHRONOUS, 0, data_path.encode(), _STAY))
    if rate <= 0:
        return NO_DATA
    language, plus, variant = str(order["voice"]).partition("+")
    known = _languages(library)
    if language not in known or library.espeak_SetVoiceByName(f"{known[language]}{plus}{variant}".encode()) != 0:
        print(" ".join(known), file=sys.stderr)
        return NO_VOICE
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # or the second of the day would be heard
    heard = bytearray()

    def take(samples: Any, count: int, events: int | None) -> int:
        if count > 0 and samples:
            heard.extend(ctypes.string_at(samples, 2 * count))
        return 0

    callback = _Callback(take)
    library.espeak_SetSynthCallback(callback)
    for number, name in ((_RATE, "rate"), (_PITCH, "pitch"), (_RANGE, "range")):
        library.espeak_SetParameter(number, int(order[name]), 0)
    text = str(order["text"]).replace("\0", " ").encode()
    library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    sys.stdout.buffer.write(rate.to_bytes(4, "little") + heard)
    return 0


def _languages(library: ctypes.CDLL) -> dict[str, str]:
    """Codes such as 'en-us', in order, with the names of their files."""
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    found: dict[str, str] = {}
    for voice in library.espeak_ListVoices(None):
        if not voice:
            break
        listed: bytes = ctypes.string_at(voice.contents.languages)[1:]  # of several, the first
        found.setdefault(listed.decode(errors="replace"), (voice.contents.identifier or b"").decode(errors="replace"))
    return {code: found[code] for code in sorted(found) if code not in ("", "variant")}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
