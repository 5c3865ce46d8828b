"""Removes what language models write besides the answer: thoughts, tool calls, channel marks.

Marks that are merely mentioned are kept: in code, in quotes, or in mid-sentence ("put <think>
before it").
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from data.text import valid_text

_TAGS = (
    r"(?:\w{1,20}[:_-])?(?:think(?:ing)?|thoughts?|antthinking|reasoning(?:_content)?|reflection"
    r"|reason|reflect|cot|thinking_process|scratch_?pad|(?:inner|internal)(?:_monologue)?|analysis|chain_of_thoughts?|thought_process"
    r"|observation|critique|system-reminder|tool_(?:calls?|code|use|responses?|results?|outputs?)"
    r"|function(?:_(?:calls?|results?|responses?))?|invoke)"
)
# Everything from the first pattern to the second, which may refer to the tag's name, is hidden.
_HIDDEN = (
    (rf"<\s?(?P<tag>{_TAGS})(?:[\s=][^<>]{{0,200}})?(?<!/)>", r"<\s?/\s?{tag}\s*>"),
    (r"<details\s+type=\"reasoning\"[^<>]{0,200}>", "</details>"),
    (r"<\|(?:think(?:ing)?|thoughts?|reasoning)\|>", r"<\|/\w{1,20}\|>"),
    (r"<(?:unused|ctrl)94>", "<(?:unused|ctrl)95>"),  # Gemma's and Gemini's
    (r"\[INST\]", r"\[/INST\]"),
    ("<<SYS>>", "<</SYS>>"),
    (r"\[THINK\]", r"\[/THINK\]"),
    ("◁think▷", "◁/think▷"),
    (
        r"<\|channel\|>(?!\s{0,4}final)",
        r"<\|(?:end|return|call)\|>|(?=<\|(?:start|channel)\|>)",
    ),
    (r"<\|channel\|>", r"<\|message\|>"),
    (r"<\|start\|>", r"<\|message\|>|(?=<\|channel\|>)"),
    (r"<\|im_start\|>|<start_of_turn>", r"\n"),
    (r"<\|start_header_id\|>", r"<\|end_header_id\|>"),
    (
        r"<\|(?:start_thinking|(?:begin|start)_of_thought)\|>",
        r"<\|(?:end_thinking|end_of_thought)\|>",
    ),
    (r"<\|think_start\|>", r"<\|think_end\|>"),
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    (r"<\|channel>(?!\s{0,4}final)", r"<channel\|>"),  # Gemma 4's
    (r"<\|tool_call>", r"<tool_call\|>"),
    (r"<\|turn>", r"\n"),
    (r"<turn\|>", ""),
    (r"<[|｜]DSML[|｜]function_calls>", r"</[|｜]DSML[|｜]function_calls>"),
    (r"\[BEGIN_OF_THOUGHT\]", r"\[END_OF_THOUGHT\]"),
    (r"\[AVAILABLE_TOOLS\]", r"\[/AVAILABLE_TOOLS\]"),
    (r"<\|start_action\|>", r"<\|end_action\|>"),
    (r"<[|｜]tool[^<>|｜]{0,40}begin[|｜]>", r"<[|｜]tool[^<>|｜]{0,40}end[|｜]>"),
    (r"<\|(?:tool_calls?|python_tag)\|>|\[TOOL_CALLS\]", r"<\|(?:/tool_calls?|eo[mt]_id)\|>"),
    (rf"<[|｜][^<>|｜\n]{{1,50}}[|｜]>|<end_of_turn>|<{_TAGS}\s*/>", ""),
    # gpt-oss behind a server that strips the channel marks
    (r"\A\s*analysis(?=(?-i:[A-Z]))", "assistantfinal"),
)
MENTIONED_TAG = re.compile(rf"</?({_TAGS})>", re.I)
"""A tag that is talked about, once those that mean what they say have been removed."""

_CLOSING = rf"<\s?/\s?{_TAGS}\s*>|\[/THINK\]|◁/think▷"
_MARK = re.compile(
    "|".join(f"(?P<opens{number}>{opening})" for number, (opening, _) in enumerate(_HIDDEN))
    + f"|(?P<closes>{_CLOSING})",
    re.I,
)
# A chunk end that may be an incomplete mark, code fence or character.
_UNDECIDED = re.compile(
    rf"(?:<(?:\s?/?\s?[\w:-]{{0,40}}\|?|<[SY]{{0,3}}>?|\s?{_TAGS}[\s=][^<>]{{0,200}}"
    rf"|\s?/\s?{_TAGS}\s*|{_TAGS}\s*/|details\s[^<>]{{0,200}}|[|｜][^<>|｜\n]{{0,50}}(?:[|｜]\w{{0,20}})?)"
    r"|\[/?[A-Z_]{0,17}|◁/?[a-z]{0,5}|`+|~+|[\ud800-\udbff])\Z",
    re.I,
)
_LONGEST_MARK, _LOOK_AHEAD = 260, 12
_ANALYSIS = "analysis"
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
            mark = _MARK.search(self._held)
            if mark is None:
                passed.append(self._pass(self._certain(final)))
                break
            passed.append(self._pass(mark.start()))
            rest = self._held[len(mark[0]) :]
            if not final and (len(rest) < _LOOK_AHEAD or (mark["closes"] and not rest.strip())):
                break
            if self._is_meant(mark, rest[:1]):
                if mark["closes"] and rest.strip():
                    self.unopened = True
                    passed.clear()
                elif not mark["closes"]:
                    self._until = _until(mark)
                self._held = rest
            else:
                self._mentioned = not mark["closes"]
                passed.append(self._pass(len(mark[0])))
        if final:
            self._held = ""
        return "".join(passed)

    def _skip_hidden(self) -> bool:
        """Drops hidden text; False if its end has not arrived."""
        assert self._until is not None
        end = self._until.search(self._held)
        self._held = self._held[end.end() :] if end else self._held[-_LONGEST_MARK:]
        if end:
            self._until = None
        return end is not None

    def _certain(self, final: bool) -> int:
        """Number of held characters that cannot start a mark."""
        if final:
            return len(self._held)
        if not self._started and _ANALYSIS.startswith(self._held.strip()[: len(_ANALYSIS)].lower()):
            return 0 if len(self._held.strip()) <= len(_ANALYSIS) else len(self._held)
        undecided = _UNDECIDED.search(self._held, max(0, len(self._held) - _LONGEST_MARK))
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
        self._line = (self._line + text)[-_LONGEST_MARK:]
        return text

    def _is_meant(self, mark: re.Match[str], following: str) -> bool:
        """Whether a mark is functional rather than mentioned."""
        if self._in_fence or self._in_code:
            return False
        if mark["closes"] and self._mentioned:
            return False
        before = self._line.rstrip(" \t")
        if not before or _ENDS_SENTENCE.search(before):
            return True
        if self._line[-1] in "\"'“‘«([{=":
            return False
        spaced = len(before) < len(self._line)
        return not (spaced and (mark["closes"] or following in " \t.,;:!?)\"'”’"))


def _until(mark: re.Match[str]) -> re.Pattern[str] | None:
    """The pattern that ends the part a mark opens; None for stand-alone marks."""
    number = next(n for n in range(len(_HIDDEN)) if mark[f"opens{n}"] is not None)
    closing = _HIDDEN[number][1]
    if not closing:
        return None
    tag = re.escape(mark["tag"] or "")
    if tag.lower() in ("think", "thinking"):  # models mix them up
        tag = "think(?:ing)?"
    return re.compile(closing.replace("{tag}", tag), re.I)


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
    passed = thoughts.push(text)
    return passed + thoughts.flush()
