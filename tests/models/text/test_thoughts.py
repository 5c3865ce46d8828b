"""Thoughts, tool calls and channel marks of language models are removed."""

import random
import time

import pytest

from models.text import Prompt, SentenceStream, answer_of, normalise, split_sentences
from models.text.thoughts import ThoughtFilter, without_thoughts

HIDDEN = {
    # thoughts
    "<think>Let me see what he wants.</think>Hello there.": "Hello there.",
    "<think>\nOkay...\n</think>\n\nHello there.": "Hello there.",
    "<think></think>\n\nHi.": "Hi.",
    "<think/>Hi.": "Hi.",
    "<THINKING>He said: a < b.</THINKING> Yes.": "Yes.",
    "<thought>First. Second.</thought><reasoning>x</reasoning>Hi.": "Hi.",
    '<reasoning effort="high">\nHm.\n</reasoning>\nHi. Bye.': "Hi. Bye.",
    "I see. <think>What now?</think> Go on.": "I see. Go on.",
    "Sure, <think>let me look.</think> it is there.": "Sure, it is there.",
    "[THINK]He greets.[/THINK]Hi.": "Hi.",
    "◁think▷He greets.◁/think▷Hi.": "Hi.",
    "<|begin_of_thought|>No.\n\n<|end_of_thought|>Hi.": "Hi.",
    "<think>They may write </b> or <br>.</think>Hi.": "Hi.",
    "<longcat_think>x</longcat_think>Hi.": "Hi.",
    "<inner_thoughts>He waits.</inner_thoughts>Hi.": "Hi.",
    "<chain_of_thought>One. Two.</chain_of_thought>Hi.": "Hi.",
    "<self-reflection>Was it right?</self-reflection>Hi.": "Hi.",
    "<scratch_pad>3 * 4</scratch_pad>Twelve.": "Twelve.",
    "<reasoning_content>x</reasoning_content>Hi.": "Hi.",
    "< think >He greets.</ think >Hi.": "Hi.",
    "<unused94>thought\nHe greets.<unused95>Hi.": "Hi.",
    "<ctrl94>thought\nHe greets.<ctrl95>Hi.": "Hi.",
    "<|start_of_thought|>He greets.<|end_of_thought|>Hi.": "Hi.",
    "<|thought|>He greets.<|/thought|>Hi.": "Hi.",
    '<details type="reasoning"><summary>Thought</summary>x</details>Hi.': "Hi.",
    "<system-reminder>Be brief.</system-reminder>Hi.": "Hi.",
    "<think>He greets.</thinking>Hi.": "Hi.",
    "<thinking>He greets.</think>Hi.": "Hi.",
    "<reason>He greets.</reason>Hi.": "Hi.",
    "<cot>He greets.</cot>Hi.": "Hi.",
    "<|think_start|>He greets.<|think_end|>Hi.": "Hi.",
    "<|inner_prefix|>He greets.<|inner_suffix|>Hi.": "Hi.",
    "<|channel>thought\nHe greets.<channel|>Hi there.": "Hi there.",
    "[BEGIN_OF_THOUGHT]He greets.[END_OF_THOUGHT]Hi.": "Hi.",
    "[INST] Greet. [/INST] Hi.": "Hi.",
    "<<SYS>>Be brief.<</SYS>> Hi.": "Hi.",
    "[REASONING]He greets. I greet.[/REASONING]Hi.": "Hi.",
    "[THOUGHTS] He waits.\n[/THOUGHTS]\nHi. Bye.": "Hi. Bye.",
    "[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT]Hi.": "Hi.",
    "<seed:think>He greets.</seed:think>Hi.": "Hi.",
    "<seed:cot_budget_reflect>100 of 512.</seed:cot_budget_reflect>Hi.": "Hi.",
    "<longthink>He greets.</longthink>Hi.": "Hi.",
    "<思考>他在打招呼。</思考>Hi.": "Hi.",
    "<|startofthink|>He greets.<|endofthink|>Hi.": "Hi.",
    "<plan>Greet. Wait.</plan>Hi.": "Hi.",
    # unfinished thoughts, and thoughts opened in the prompt
    "Hello. <think>I could go on. And on": "Hello.",
    "<think>": "",
    "<think>Nothing but thought.": "",
    # tool calls
    'Let me look. <tool_call>\n{"name": "find"}\n</tool_call>\nIt is red.': "Let me look."
    " It is red.",
    '<function=weather>{"city": "Rome"}</function>Hi.': "Hi.",
    '<function_calls><invoke name="a"><parameter name="b">c</parameter></invoke>'
    "</function_calls>Hi.": "Hi.",
    '[TOOL_CALLS][{"name": "find", "arguments": {}}]': "",
    '<|tool_call|>[{"name": "find"}]': "",
    "<|tool_call>call:find{a:1}<tool_call|>It is red.": "It is red.",
    '<｜DSML｜function_calls>\n<｜DSML｜invoke name="f">\n</｜DSML｜invoke>\n'
    "</｜DSML｜function_calls>"
    "It is red.": "It is red.",
    "[AVAILABLE_TOOLS][{}][/AVAILABLE_TOOLS]It is red.": "It is red.",
    "<tool_use>find</tool_use>It is red.": "It is red.",
    "<observation>red</observation>It is red.": "It is red.",
    "<tool_response>red</tool_response>It is red.": "It is red.",
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```"
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>Fine.<｜end▁of▁sentence｜>": "Fine.",
    '<|python_tag|>brave_search.call(query="x")<|eom_id|>Hi.': "Hi.",
    '[TOOL_CALLS]weather[ARGS]{"city": "Rome"}</s>': "",
    '[TOOL_REQUEST]{"name": "find"}[END_TOOL_REQUEST]Hi.': "Hi.",
    '[TOOL_RESULTS]{"content": 3}[/TOOL_RESULTS]Three.': "Three.",
    "<|tool_calls_section_begin|><|tool_call_begin|>f:0<|tool_call_argument_begin|>{}"
    "<|tool_call_end|><|tool_calls_section_end|>Hi.": "Hi.",
    '<functioncall> {"name": "find", "arguments": {}} </functioncall>Hi.': "Hi.",
    '[weather(city="Rome")]': "",
    "[time()] Hi.": "Hi.",
    '{"name": "weather", "arguments": {"city": "Rome"}}': "",
    'Let me look.\n{"name": "weather", "parameters": {"city": "{Rome}"}}\nIt rains.': (
        "Let me look. It rains."
    ),
    '[{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]': "",
    '{"tool_calls": [{"name": "f", "arguments": {}}]}Hi.': "Hi.",
    '{"name": "weather", "arguments": {"city": "Ro': "",
    'Sure.\n```json\n{"name": "weather", "arguments": {"city": "Rome"}}\n```\nHi.': "Sure. Hi.",
    "```tool_code\nprint(weather('Rome'))\n```\n```tool_outputs\nrain\n```\nIt rains.": "It rains.",
    # channels, roles, end-of-turn marks
    "<|channel|>analysis<|message|>Greet him.<|end|><|start|>assistant<|channel|>final"
    "<|message|>Hello there.<|return|>": "Hello there.",
    "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>": "",
    "<|channel|>final<|message|>Hello there.": "Hello there.",
    "<|channel|>analysis<|message|>It never ends": "",
    "analysisWe need to greet.assistantfinalHello there.": "Hello there.",
    "<|im_start|>assistant\nHello there.<|im_end|>": "Hello there.",
    "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>": "Hello.",
    "<|turn>model\nHello.<turn|>": "Hello.",
    "<start_of_turn>model\nHello.<end_of_turn>": "Hello.",
    "<s>Hello there.</s>": "Hello there.",
    "<s> [INST] Greet. [/INST] Hello there.</s>": "Hello there.",
    "<bos>Hello there.<eos><pad><pad>": "Hello there.",
    "Hello there.[/INST]": "Hello there.",
    "[gMASK]<sop>Hello there. [EOS]": "Hello there.",
    "Hello there.<unused12> [end of text]": "Hello there.",
    "Hello there.<|im_end|>\n<|im_start|>user\nAnd you?": "Hello there.",
    "<|system|>Be brief.<|end|><|assistant|>Hello.<|user|>And you?": "Hello.",
    "<|start_header_id|>user<|end_header_id|>\nHi.<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\nHello.<|eot_id|>": "Hello.",
    "<｜User｜>Greet.<｜Assistant｜>Hello.<｜end▁of▁sentence｜>": "Hello.",
    "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Greet.<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Hello.": (
        "Hello."
    ),
    "<|header_start|>assistant<|header_end|>\n\nHello.<|eot|>": "Hello.",
    "<|from|>assistant\n<|recipient|>all\n<|content|>Hello.": "Hello.",
    "assistant<|channel|>final<|message|>Hello.": "Hello.",
    "assistantfinalHello.": "Hello.",
    "assistant\nHello.": "Hello.",
    'commentary to=functions.find json{"a": 1}assistantfinalHello.': "Hello.",
    "<answer>Hello there.</answer>": "Hello there.",
    # bytes
    f"Hi.<0x0A>{'<0xF0><0x9F><0x98><0x80>' * 17}Hello.": "Hi. Hello.",
    "Hello<0x0A>there.": "Hello there.",
    "One.<0x0A><0x0A>Two.": "One. Two.",
    "He<0xC3><0xA9>l came.": "Heél came.",
}
TALKED_ABOUT = {
    "[thinking] Let me see.": "thinking Let me see.",
    "The <think> tag is for reasoning.": "The think tag is for reasoning.",
    "The <think> and </think> tags, see?": "The think and think tags, see?",
    "Put `<think>` first. Then `</think>`. Done.": "Put think first. Then think. Done.",
    'Write "<tool_call>" there. Yes.': "Write tool call there. Yes.",
    "Models begin with <think>, people do not.": "Models begin with think, people do not.",
    "Try `echo <think>x</think> it`. It works.": "Try echo think ex think it. It works.",
    "a < think tank > b": "a less than think tank greater than bee",
    "<details>See below.</details> Yes.": "See below. Yes.",
    "I think. Analysis is hard.": "I think. Analysis is hard.",
    "Is a < b, or b <c?": "Is a less than bee, or bee less than see?",
    "Use `<br>` for a new line.": "Use br for a new line.",
    "He said [THIS] and [THAT].": "He said this and that.",
}


def streamed(text: str, draw: random.Random) -> list[str]:
    stream, found = SentenceStream(), []
    while text:
        length = draw.choice((1, 1, 2, 3, 7, 40))
        found += stream.push(text[:length])
        text = text[length:]
    return found + stream.flush()


def spoken(sentences: list[str]) -> str:
    return " ".join(words for sentence in sentences if (words := normalise(sentence)))


@pytest.mark.parametrize(("written", "answer"), HIDDEN.items())
def test_only_the_answer_remains(written: str, answer: str) -> None:
    assert normalise(written) == answer
    assert spoken(split_sentences(written)) == answer


@pytest.mark.parametrize(("written", "answer"), TALKED_ABOUT.items())
def test_mentioned_marks_are_kept(written: str, answer: str) -> None:
    assert normalise(written) == answer
    assert spoken(split_sentences(written)) == answer


@pytest.mark.parametrize("written", [*HIDDEN, *TALKED_ABOUT])
def test_streaming_equals_the_whole(written: str) -> None:
    draw = random.Random(len(written))
    for _ in range(60):
        assert streamed(written, draw) == split_sentences(written)


def test_code_keeps_its_marks() -> None:
    written = "Look:\n```\n<think>x</think>\n```\nDone. Good."
    assert split_sentences(written) == [written.removesuffix(" Good."), "Good."]


def test_what_models_write_beside_an_answer_stands_in_no_transcript() -> None:
    for written, shown in {
        "Hello there.</s>": "Hello there.",
        "<s>Hello there.</s>": "Hello there.",
        "One.<0x0A>Two<eos>": "One.\nTwo",
        "<answer>Four</answer>": "Four",
        'It\n```json\n{"name": "f", "arguments": {}}\n```\nrains.': "It\n\nrains.",
        'See:\n```json\n{"name": "f"}\n```': 'See:\n```json\n{"name": "f"}\n```',
    }.items():
        for size in (1, 3, 8, 200):
            pieces = [written[at : at + size] for at in range(0, len(written), size)]
            assert "".join(answer_of(pieces)) == shown, (written, size)


def test_the_start_of_a_mark_is_kept_whole() -> None:
    written = "analysisthink[/INST] it."
    assert "".join(answer_of(written)) == "analysisthink it."


def test_bytes_that_arrive_singly_take_linear_time() -> None:
    thoughts, begun = ThoughtFilter(), time.process_time()
    for character in "<0x41>" * 5000:
        thoughts.push(character)
    thoughts.flush()
    assert time.process_time() - begun < 4


def test_ssml_keeps_its_sentences() -> None:
    written = "<speak><s>One</s><s>Two</s></speak>"
    assert without_thoughts(written) == written


def test_an_unopened_thought_removes_what_was_not_emitted() -> None:
    written = "He greets me. So do I.\n</think>\n\nHello there. Bye."
    assert split_sentences(written) == ["Hello there.", "Bye."]
    stream = SentenceStream()
    assert stream.push("He greets me. So do I") == ["He greets me."]
    assert stream.push(".\n</think>\n\nHello there. ") == []
    assert stream.push("Bye.") == ["Hello there."]
    assert normalise("Hello there.</think>") == "Hello there."
    assert normalise("He greets me.</think>Hi.") == "Hi."
    for name in ("Reasoning", "ANALYSIS", "thinking"):
        written = f"[{name}]He greets me.[/{name}] Hello there. Bye."
        assert split_sentences(written) == ["Hello there.", "Bye."]
        assert normalise(f"[{name}]He greets me.[/{name}] Hello there.") == "Hello there."


def test_an_answer_is_emitted_once_complete() -> None:
    stream = SentenceStream()
    assert stream.push("<think>Long. Very long.") == []
    assert stream.push("</think>Hello there. How are") == ["Hello there."]
    assert stream.flush() == ["How are"]


def test_split_surrogate_pairs_are_joined_or_dropped() -> None:
    stream = SentenceStream()
    found = stream.push("Good \ud83d") + stream.push("\ude00 news. So \udc00") + stream.flush()
    assert found == ["Good 😀 news.", "So"]


IN_PROMPT = "He greets me. So do I.\n</think>\n\nHello."


@pytest.mark.parametrize("size", [1, 3, 7, 200])
def test_a_thought_opened_in_the_prompt_is_spoken_once_at_most(size: int) -> None:
    """Only the end of such a thought shows that it was one."""
    pieces = [IN_PROMPT[at : at + size] for at in range(0, len(IN_PROMPT), size)]
    prompt = Prompt()
    first = "".join(answer_of(pieces, prompt))
    assert first == "Hello." or first.endswith("\n\nHello.")
    for _ in range(2):
        assert "".join(answer_of(pieces, prompt)) == "Hello."


def test_an_answer_without_a_thought_is_complete_and_streams_again() -> None:
    prompt = Prompt(opens_thought=True)
    assert "".join(answer_of(["Hello ", "there."], prompt)) == "Hello there."
    assert list(answer_of(["Hello ", "there."], prompt)) == ["Hello ", "there."]
