"""Marks that language models write beside the answer, and what each of them hides.

Sources: the chat templates of Llama, Mistral, Qwen, DeepSeek, Gemma, Phi, Command R, GLM, Kimi,
Seed, MiniMax and gpt-oss, and tags that models are fine-tuned or prompted to write.
"""

import json
import re
from collections.abc import Iterable

_TAGS = (
    r"(?:\w{1,20}[:_-])?(?:think(?:ing)?|thoughts?|antthinking|reasoning|reflection|reason|reflect"
    r"|cot|scratch_?pad|(?:inner|internal)(?:_monologue)?|monologue|analysis|thought_process"
    r"|chain_of_thoughts?|(?:thinking|reasoning|cot)(?:_[a-z]{1,12}){1,2}|[a-z]{1,10}think(?:ing)?"
    r"|思考(?:过程)?|observation|critique|plan(?:ning)?|system-reminder|search|execute|invoke"
    r"|tools|tool_(?:calls?|code|use|responses?|results?|outputs?|requests?|content)"
    r"|functions?(?:_?(?:calls?|results?|responses?))?|arg_(?:key|value)|parameters?)"
)
# Small letters in brackets are stage directions: "[thinking] Let me see."
_NAMES = (
    r"(?-i:REASONING|THOUGHTS?|THINKING|INNER_MONOLOGUE|SCRATCHPAD|SYSTEM_PROMPT"
    r"|TOOL_(?:CALL|USE|RESULTS?|RESPONSE|OUTPUT|REQUEST|CONTENT)|FUNCTION_CALLS?)"
)
_HEADER = r"<\|(?:start_header_id|header_start)\|>"
_ROLE = rf"(?:<\|im_start\|>\s?|<start_of_turn>|<\|turn>|<\|from\|>|<\|start\|>|{_HEADER})"
_OTHERS = "(?:user|system|tool|ipython|human|developer|environment|observation)"
_SPECIAL = r"(?-i:g?MASK|CLS|SEP|PAD|[BE]OS|UNK|[BE]OT|ARGS|CALL_ID)"

HIDDEN: tuple[tuple[str, str], ...] = (
    # the turn of another, which a model invents
    (
        rf"{_ROLE}{_OTHERS}\b|<[|｜]{_OTHERS}(?:_token)?[|｜]>",
        rf"(?={_ROLE}(?:assistant|model)|<[|｜](?:assistant|chatbot_token)[|｜]>)",
    ),
    (rf"<\s?(?P<tag>{_TAGS})(?:[\s=][^<>]{{0,200}})?(?<!/)>", r"<\s?/\s?{tag}\s*>"),
    (rf"\[(?P<name>{_NAMES})\]", r"\[(?:/|END_){tag}\]"),
    (r"<details\s+type=\"reasoning\"[^<>]{0,200}>", "</details>"),
    (r"<\|(?:think(?:ing)?|thoughts?|reasoning)\|>", r"<(?:\|/|/\|)\w{1,20}\|>"),
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
    (r"\A\s*assistant(?=<\|)", ""),
    (r"<\|(?:im_start|from|recipient)\|>|<start_of_turn>", r"\n"),
    (_HEADER, r"<\|(?:end_header_id|header_end)\|>"),
    (
        r"<\|(?:start_?(?:of_?)?think(?:ing)?|(?:begin|start)_of_thought)\|>",
        r"<\|(?:end_?(?:of_?)?think(?:ing)?|end_of_thought)\|>",
    ),
    (r"<\|think_start\|>", r"<\|think_end\|>"),
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    (r"<\|channel>(?!\s{0,4}final)", r"<channel\|>"),  # Gemma 4's
    (r"<\|tool_call>", r"<tool_call\|>"),
    (r"<\|turn>", r"\n"),
    (r"<[|｜]DSML[|｜]function_calls>", r"</[|｜]DSML[|｜]function_calls>"),
    (r"\[BEGIN_OF_THOUGHT\]", r"\[END_OF_THOUGHT\]"),
    (r"\[AVAILABLE_TOOLS\]", r"\[/AVAILABLE_TOOLS\]"),
    (r"<\|start_action\|>", r"<\|end_action\|>"),
    (r"<[|｜]tool[^<>|｜]{0,40}begin[|｜]>", r"<[|｜]tool[^<>|｜]{0,40}end[|｜]>"),
    (
        r"<\|(?:(?:tool|function)_calls?|python_tag)\|>|\[TOOL_CALLS\]",
        r"<\|(?:/tool_calls?|eo[mt]_id|end)\|>",
    ),
    (
        r"(?:```|~~~)(?:tool_(?:code|calls?|outputs?|results?|use)|function_calls?)(?=\s)",
        "(?:```|~~~)",
    ),
    # Llama writes calls as Python
    (r"\A\s*\[[a-z_][\w.]{0,60}\((?=\)\]|[a-z_]\w{0,40}\s?=)", r"\)\s*\]"),
    # gpt-oss behind a server that strips the channel marks
    (r"\A\s*(?:assistant)?(?:analysis|commentary)(?=(?-i:[A-Z])| to=)", "assistantfinal"),
    (r"\A\s*assistant(?:final(?=(?-i:[A-Z\"'“])|[^\x00-\x7f])|\n)", ""),
    (rf"<[|｜][^<>|｜\n]{{1,50}}[|｜]>|<{_TAGS}\s*/>|<turn\|>", ""),
    (r"<(?:end_of_(?:turn|utterance)|[be]os|pad|unk|eo[dtp]|sop|(?:unused|extra_id_)\d{1,4})>", ""),
    (r"</?(?:answer|final(?:_answer)?|response|output|solution)>", ""),
    (rf"\[/INST\]|\[{_SPECIAL}\]|\[end of text\]", ""),
)
MENTIONED_TAG = re.compile(rf"</?({_TAGS})>", re.I)
"""A tag that is talked about, once those that mean what they say have been removed."""

_CLOSING = (
    rf"<\s?/\s?{_TAGS}\s*>|◁/think▷"
    rf"|\[/(?:{_NAMES}|THINK(?:ING)?|REASONING|THOUGHTS?|ANALYSIS|REFLECTION)\]"
)
_BYTES = "(?:<0x[0-9A-F]{2}>){1,64}"
_CALL = (
    r"(?:(?:```|~~~)\w{0,20}\s{1,20})?(?:\[\s{0,20})?"
    r"(?=\{\s{0,20}\"(?:name|type|function|function_call|tool|tool_calls?|id)\"\s{0,5}:)"
)


def _marks(hidden: Iterable[tuple[int, tuple[str, str]]]) -> re.Pattern[str]:
    opens = "|".join(f"(?P<opens{number}>{opening})" for number, (opening, _) in hidden)
    others = f"(?P<closes>{_CLOSING})|(?P<sentence></?s>)|(?P<bytes>{_BYTES})|(?P<call>{_CALL})"
    return re.compile(f"{opens}|{others}", re.I)


MARK_AT_START = _marks(enumerate(HIDDEN))
"""A mark in a text of which nothing was passed on yet."""
MARK = _marks((number, mark) for number, mark in enumerate(HIDDEN) if mark[0][:2] != r"\A")
UNDECIDED = re.compile(
    rf"(?:<(?:\s?/?\s?[\w:-]{{0,40}}\|?|<[SY]{{0,3}}>?|\s?{_TAGS}[\s=][^<>]{{0,200}}"
    rf"|\s?/\s?{_TAGS}\s*|{_TAGS}\s*/|details\s[^<>]{{0,200}}|[|｜][^<>|｜\n]{{0,50}}(?:[|｜]\w{{0,20}})?)"
    r"|\[/?[\w. ]{0,64}(?:\([\w)]{0,40}\s?)?|◁/?[a-z]{0,5}"
    r"|(?:`+|~+)(?:\w{0,20}\s{0,20})?(?:\[\s{0,20})?(?:\{\s{0,20}(?:\"\w{0,20}\"?\s{0,5})?)?"
    r"|(?:\[\s{0,20})?\{\s{0,20}(?:\"\w{0,20}\"?\s{0,5})?|[\ud800-\udbff])\Z",
    re.I,
)
"""The end of a chunk that may be an incomplete mark, code fence or character."""

LONGEST_MARK, LOOK_AHEAD = 260, 12
AT_START = ("analysis", "commentary", "assistantanalysis", "assistantfinal", "assistant<|")
_LONGEST_CALL = 8000
_ARGUMENTS = re.compile(r'"(?:arguments|parameters|args|input|tool_input|tool_calls?)"\s*:')
_FENCE_END = re.compile(r"\s*(?:```|~~~)")
_BLANK = re.compile(r"\s*")


def ending_of(mark: re.Match[str]) -> re.Pattern[str] | None:
    """The pattern that ends the part a mark opens; None for stand-alone marks."""
    closing = HIDDEN[int((mark.lastgroup or "").removeprefix("opens"))][1]
    if not closing:
        return None
    tag = re.escape(mark["tag"] or mark["name"] or "")
    if tag.lower() in ("think", "thinking"):  # models mix them up
        tag = "think(?:ing)?"
    return re.compile(closing.replace("{tag}", tag), re.I)


def call_length(text: str, final: bool) -> int | None:
    """Length of the function call that a text starts with, its code fence included.

    Args:
        text: starts where `MARK` found a "call".
        final: no more text follows.

    Returns:
        0 if it is other JSON; None if more text is needed.
    """
    fence = text[:1] in "`~"
    begun = re.search(r"[\[{]", text)
    assert begun is not None
    try:
        value, end = json.JSONDecoder().raw_decode(text, begun.start())
    except ValueError:
        if not final and len(text) < _LONGEST_CALL:
            return None
        return len(text) if _ARGUMENTS.search(text) and final else 0
    except RecursionError:
        return 0
    if not _is_call(value):
        return 0
    if not fence:
        return end
    closing = _FENCE_END.match(text, end)
    if closing:
        return closing.end()
    rest = text[end:].strip()
    undecided = not final and rest in ("", "`", "``", "~", "~~")
    return None if undecided else end if final and not rest else 0


def _is_call(value: object) -> bool:
    """Whether JSON is a function call in one of the forms that models write."""
    if isinstance(value, list):
        return bool(value) and all(map(_is_call, value))
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("tool_calls"), list):
        return True
    nested = value.get("function", value.get("function_call"))
    if isinstance(nested, dict):
        return _is_call(nested)
    name = value.get("name", value.get("tool", nested))
    given = {"arguments", "parameters", "args", "input", "tool_input"} & value.keys()
    return isinstance(name, str) and bool(given) and "description" not in value
