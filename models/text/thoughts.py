"""Removes what language models write besides the answer: thoughts, tool calls, channel marks.

Marks that are merely mentioned are kept: in code, in quotes, or in mid-sentence ("put <think>
before it").
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from data.text import valid_text
from models.text.answer_marks import (
    AT_START,
    LONGEST_MARK,
    LOOK_AHEAD,
    MARK,
    MARK_AT_START,
    UNDECIDED,
    call_length,
    ending_of,
)

_FENCE_OR_CODE = re.compile(r"`{3,}|~{3,}|`|\n")
_ENDS_SENTENCE = re.compile(r"(?:(?<!e\.g)(?<!i\.e)[.!?…]|[\n>])[\"'”’)*_]*\Z")


class ThoughtFilter:
    """Passes on only the answer of a streamed text, as valid Unicode.

    Attributes:
        unopened: the last `push` found the end of a thought that was never opened (some prompts
            contain the opening mark): all text passed on before was part of the thought.
    """

    def __init__(self) -> None:
        self.unopened = False
        self._held = ""
        self._until: re.Pattern[str] | None = None  # ends the hidden part
        self._line = ""  # the part of the current line passed on
        self._started = False
        self._in_fence = self._in_code = False
        self._utf8 = codecs.getincrementaldecoder("utf-8")("ignore")
        self._sentences = 0  # SSML's <s> that are open
        self._mentioned = False  # a mentioned opening mark awaits its closing one

    def push(self, piece: str) -> str:
        """Takes the next chunk; returns what certainly belongs to the answer."""
        self._held += piece
        return self._take(final=False)

    def flush(self) -> str:
        """Returns the rest, without an unfinished thought."""
        return self._take(final=True)

    def _take(self, final: bool) -> str:
        self.unopened = False
        passed: list[str] = []
        while self._held:
            if self._until is not None:
                if not self._skip_hidden():
                    break
                continue
            mark = (MARK if self._started else MARK_AT_START).search(self._held)
            if mark is None:
                passed.append(self._pass(self._certain(final)))
                break
            passed.append(self._pass(mark.start()))
            rest = self._held[len(mark[0]) :]
            if not final and (len(rest) < LOOK_AHEAD or (mark["closes"] and not rest.strip())):
                break
            if not self._is_meant(mark, rest[:1]):
                self._mentioned = (mark.lastgroup or "").startswith("opens")
                passed.append(self._pass(len(mark[0]) or 1))
            elif mark["call"] is not None:
                length = call_length(self._held, final)
                if length is None:
                    break
                passed.append("" if length else self._pass(len(mark[0]) or 1))
                self._held = self._held[length:]
            else:
                if mark["closes"] and rest.strip():
                    self.unopened = True
                    passed.clear()
                self._held = self._without(mark, rest)
        if final:
            self._held = ""
        return "".join(passed)

    def _without(self, mark: re.Match[str], rest: str) -> str:
        """The held text once a mark has taken effect."""
        if mark["bytes"] is not None:
            return self._utf8.decode(bytes.fromhex(re.sub("<0x|>", "", mark[0]))) + rest
        if mark["closes"] is None and mark["sentence"] is None:
            self._until = ending_of(mark)
        return rest

    def _skip_hidden(self) -> bool:
        """Drops hidden text; False if its end has not arrived."""
        assert self._until is not None
        end = self._until.search(self._held)
        self._held = self._held[end.end() :] if end else self._held[-LONGEST_MARK:]
        if end:
            self._until = None
        return end is not None

    def _certain(self, final: bool) -> int:
        """Number of held characters that cannot start a mark."""
        if final:
            return len(self._held)
        if not self._started:
            begun = self._held.strip().lower()
            if len(begun) <= max(map(len, AT_START)) and any(
                mark.startswith(begun[: len(mark)]) for mark in AT_START
            ):
                return 0
        undecided = UNDECIDED.search(self._held, max(0, len(self._held) - LONGEST_MARK))
        return undecided.start() if undecided else len(self._held)

    def _pass(self, length: int) -> str:
        text, self._held = valid_text(self._held[:length]), self._held[length:]
        self._started = self._started or bool(text.strip())
        for found in _FENCE_OR_CODE.finditer(text):
            if len(found[0]) >= 3:
                self._in_fence = not self._in_fence
            elif found[0] == "`":
                self._in_code = not self._in_code
            else:
                self._in_code = False
        self._line = (self._line + text)[-LONGEST_MARK:]
        return text

    def _is_meant(self, mark: re.Match[str], following: str) -> bool:
        """Whether a mark is functional rather than mentioned."""
        if self._in_fence or self._in_code:
            return False
        if mark["sentence"] is not None and self._is_ssml(mark[0]):
            return False
        if mark["closes"] and self._mentioned:
            return False
        before = self._line.rstrip(" \t")
        if not before or _ENDS_SENTENCE.search(before):
            return True
        if mark["call"] is not None or self._line[-1] in "\"'“‘«([{=":
            return False
        spaced = len(before) < len(self._line)
        return not (spaced and (mark["closes"] or following in " \t.,;:!?)\"'”’"))

    def _is_ssml(self, tag: str) -> bool:
        """Whether <s> or </s> delimits a sentence, rather than all that a model has written."""
        before = self._sentences
        if "/" not in tag:
            self._sentences += self._started
        elif before:
            self._sentences -= 1
        return self._sentences != before


@dataclass
class Prompt:
    """What is known about a language model's prompt.

    Attributes:
        opens_thought: its last answer contained the end of a thought but not its start: the
            prompt's template opens one, which only the first answer reveals.
    """

    opens_thought: bool = False


def answer_of(pieces: Iterable[str], prompt: Prompt | None = None) -> Iterator[str]:
    """Streams the answer from a language model's chunks; it starts with a word.

    Args:
        prompt: updated by this answer. If it opens a thought, nothing is streamed before the
            thought's end; an answer without such an end is returned at once when complete.
    """
    prompt = prompt or Prompt()
    thoughts, held = ThoughtFilter(), ""
    begun, streams, closed = False, not prompt.opens_thought, False
    for piece in chain(pieces, (None,)):
        answer = thoughts.flush() if piece is None else thoughts.push(piece)
        if thoughts.unopened:
            held, streams, closed = "", True, True
            answer = f"\n\n{answer}"  # starts a sentence of its own
        held += answer if begun or held else answer.lstrip()
        if held and (streams or piece is None):
            begun = True
            yield held
            held = ""
    prompt.opens_thought = closed


def without_thoughts(text: str) -> str:
    """Removes everything but the answer from a complete text.

    >>> without_thoughts("<think>He greets me.</think>Hello there.")
    'Hello there.'
    """
    thoughts = ThoughtFilter()
    passed, rest = thoughts.push(text), thoughts.flush()
    return rest if thoughts.unopened else passed + rest
