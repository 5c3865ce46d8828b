"""Characters to spoken pinyin: word segmentation, polyphones, tone sandhi."""

import itertools
import logging
import re
import warnings
from dataclasses import dataclass
from functools import cache

_NEUTRAL = frozenset(
    """爸爸 妈妈 哥哥 弟弟 姐姐 妹妹 爷爷 奶奶 叔叔 伯伯 舅舅 姑姑 公公 婆婆
    宝宝 星星 猩猩 娃娃 太太 朋友 东西 衣服 先生 学生 喜欢 知道 告诉 认识
    意思 时候 地方 多少 明白 休息 舒服 漂亮 清楚 事情 豆腐 眼睛 耳朵 头发
    嘴巴 鼻子 月亮 太阳 窗户 暖和 凉快 热闹 便宜 麻烦 关系 商量 打听 打算
    招呼 收拾 客气 力气 脾气 运气 名字 故事 消息 护士 大夫 先生 师傅 丈夫
    亲戚 孩子 点心 钥匙 行李 味道 玻璃 葡萄 萝卜 石榴 苍蝇 蘑菇 骆驼 石头
    木头 馒头 枕头 里头 外头 上头 前头 后头 早上 晚上 困难 聪明 老实 结实
    厉害 糊涂 马虎 咳嗽 耽误 答应 佩服 吩咐 使唤 喇叭 扫帚 胳膊 屁股 巴掌
    指头 骨头 舌头 念头 甜头 我们 你们 他们 她们 它们 咱们 人们 怎么 什么
    那么 这么 多么 要么""".split()
)
_PHRASES = {
    **{"银行": "yin2 hang2", "行业": "hang2 ye4", "同行": "tong2 hang2", "行情": "hang2 qing2"},
    **{"重新": "chong2 xin1", "重来": "chong2 lai2", "重做": "chong2 zuo4", "重写": "chong2 xie3"},
    **{"重启": "chong2 qi3", "重播": "chong2 bo1", "重唱": "chong2 chang4", "重名": "chong2 ming2"},
    **{"长大": "zhang3 da4", "长高": "zhang3 gao1", "长胖": "zhang3 pang4", "长出": "zhang3 chu1"},
    **{"长相": "zhang3 xiang4", "长得": "zhang3 de5", "觉得": "jue2 de5", "记得": "ji4 de5"},
    **{"懂得": "dong3 de5", "舍得": "she3 de5", "显得": "xian3 de5", "值得": "zhi2 de5"},
    **{"得到": "de2 dao4", "还书": "huan2 shu1", "还钱": "huan2 qian2", "还款": "huan2 kuan3"},
    **{"还债": "huan2 zhai4", "还给": "huan2 gei3", "归还": "gui1 huan2", "还是": "hai2 shi5"},
    **{"总得": "zong3 dei3", "非得": "fei1 dei3", "还得": "hai2 dei3", "就得": "jiu4 dei3"},
    **{"都是": "dou1 shi4", "都会": "dou1 hui4", "都有": "dou1 you3", "都能": "dou1 neng2"},
    **{"不得不": "bu4 de2 bu4", "了不起": "liao3 bu5 qi3", "看得见": "kan4 de5 jian4"},
    **{"怎么样": "zen3 me5 yang4", "没关系": "mei2 guan1 xi5", "对不起": "dui4 bu5 qi3"},
}
_MEASURED_IN_LINES = re.compile(r"[一二两三四五六七八九十百千几每第这那头末首]")
_TONED = re.compile(r"[a-zü:]+[1-5]")
_DIGITS = frozenset("零一二三四五六七八九十百千万亿幺")
# "第一", "星期一", "统一"; "一月", "一号": 一 keeps its first tone
_BEFORE_FIRST, _BEHIND_FIRST = frozenset("第初周期统唯专单"), frozenset("月号日")
_NOT_RHOTIC = frozenset("女婴幼孤少健男胎小生血宠")


@dataclass(frozen=True)
class Word:
    """A word and its spoken syllables; `rhotic` lists those with erhua."""

    written: str
    syllables: tuple[str, ...]
    rhotic: frozenset[int] = frozenset()


@cache
def _tagger():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba imports the deprecated pkg_resources
        import jieba
        import jieba.posseg

    jieba.setLogLevel(logging.ERROR)
    for word in (*_PHRASES, *_NEUTRAL):
        jieba.add_word(word)
    for word in ("还得", "总得", "就得", "都会", "都有", "都能", "都是"):
        jieba.add_word(word, freq=1)
    return jieba.posseg


def pronounce(text: str) -> list[Word]:
    """Pronounces a clause of Chinese characters.

    Args:
        text: characters without punctuation.

    Returns:
        Its words, in order. Characters without a reading are dropped.
    """
    tagged = [(pair.word, pair.flag) for pair in _tagger().cut(text)]
    words = [(word, _lexical(word, number, tagged)) for number, (word, _) in enumerate(tagged)]
    words = [(word, syllables) for word, syllables in words if syllables]
    spoken = _third_tones(_bu_and_yi(words))
    return _with_erhua([word for word, _ in words], spoken)


def _lexical(word: str, number: int, tagged: list[tuple[str, str]]) -> list[str]:
    """The syllables of a word before tone sandhi."""
    if word in _PHRASES:
        return _PHRASES[word].split()
    if len(word) == 1 and word in _SINGLE:
        before = tagged[number - 1] if number else ("", "")
        after = tagged[number + 1] if number + 1 < len(tagged) else ("", "")
        return [_SINGLE[word](before, after, tagged[number][1])]
    from pypinyin import Style, lazy_pinyin

    syllables = lazy_pinyin(
        word, style=Style.TONE3, neutral_tone_with_five=True, errors="ignore", v_to_u=False
    )
    syllables = [syllable for syllable in syllables if _TONED.fullmatch(syllable)]
    if word in _NEUTRAL and len(syllables) > 1:
        syllables[-1] = syllables[-1][:-1] + "5"
    if len(syllables) == len(word):
        syllables = [_within(word, at, syllable) for at, syllable in enumerate(syllables)]
    return syllables


def _within(word: str, at: int, syllable: str) -> str:
    """Readings within a longer word: "跑得快", "第三行"; 一 and 不 before sandhi."""
    if word[at] == "得" and 0 < at < len(word) - 1:
        return "de5"
    if word[at] == "行" and at and _MEASURED_IN_LINES.match(word[at - 1]):
        return "hang2"
    return {"一": "yi1", "不": "bu4"}.get(word[at], syllable)


_Tagged = tuple[str, str]


def _de(before: _Tagged, after: _Tagged, flag: str) -> str:
    """得: the particle after a verb or adjective; otherwise "must" or "to get"."""
    modal = before[0] in ("要", "会", "能", "想", "可", "还", "必须")
    if before[0] and before[1][:1] not in ("r", "n", "d", "t", "c") and not modal:
        return "de5"
    must = after[1][:1] in ("v", "p", "d", "a", "r") or (modal and after[1][:1] not in ("n", "m"))
    return "dei3" if must and after[0] not in ("", "了") else "de2"


def _hai(before: _Tagged, after: _Tagged, flag: str) -> str:
    gives_back = after[0][:1] in tuple("给钱书债款清回了") or after[1][:1] in ("n", "m")
    return "huan2" if gives_back or (after[0] == "" and before[1][:1] in ("v", "d")) else "hai2"


def _chang(before: _Tagged, after: _Tagged, flag: str) -> str:
    if (
        before[0]
        and before[0][-1] in "很太更最这那多不好够细挺较"
        and before[1][:1] in ("d", "r", "z", "m", "a")
    ):
        return "chang2"
    return "zhang3" if after[0][:1] in tuple("了得出成在满高大胖") and after[0] else "chang2"


def _xing(before: _Tagged, after: _Tagged, flag: str) -> str:
    return "hang2" if before[0] and _MEASURED_IN_LINES.match(before[0][-1]) else "xing2"


def _chong(before: _Tagged, after: _Tagged, flag: str) -> str:
    counted = before[0] and before[0][-1] in "一二两三四五六七八九十几双"
    return "chong2" if counted or after[1][:1] == "v" else "zhong4"


_SINGLE = {
    "得": _de,
    "还": _hai,
    "长": _chang,
    "行": _xing,
    "重": _chong,
    "都": lambda before, after, flag: "dou1",
    "地": lambda before, after, flag: "de5" if flag == "uv" else "di4",
    "着": lambda before, after, flag: "zhe5" if before[1][:1] in ("v", "a") else "zhao2",
    "了": lambda before, after, flag: "le5",
    "嗯": lambda before, after, flag: "en4",
    "呃": lambda before, after, flag: "e4",
    "一": lambda before, after, flag: "yi1",
    "不": lambda before, after, flag: "bu4",
    "只": lambda before, after, flag: "zhi1" if before[1][:1] == "m" else "zhi3",
    "为": lambda before, after, flag: "wei4" if flag == "p" else "wei2",
    "和": lambda before, after, flag: "he2",
    "好": lambda before, after, flag: "hao3",
    "的": lambda before, after, flag: "de5",
}


def _bu_and_yi(words: list[tuple[str, list[str]]]) -> list[list[str]]:
    """Tone sandhi of 一 and 不: by the following tone; neutral within a reduplicated verb."""
    characters = "".join(word for word, _ in words)
    flat = [syllable for _, syllables in words for syllable in syllables]
    if len(characters) != len(flat):  # a word contains letters
        return [syllables for _, syllables in words]
    for at, character in reversed(list(enumerate(characters))):
        following = flat[at + 1][-1] if at + 1 < len(flat) else ""
        repeated = 0 < at < len(flat) - 1 and characters[at - 1] == characters[at + 1]
        if character == "不" and flat[at].startswith("bu"):
            flat[at] = "bu5" if repeated else "bu2" if following == "4" else flat[at]
        elif character == "一" and flat[at] == "yi1":
            verb_again = repeated and characters[at - 1] not in _DIGITS
            flat[at] = "yi5" if verb_again else _yi(characters, at, following)
    return _regrouped(words, flat)


def _yi(characters: str, at: int, following: str) -> str:
    """The tone of 一: first where it counts or is final, else second or fourth."""
    before, after = characters[at - 1 : at], characters[at + 1 : at + 2]
    is_digit = before in _DIGITS or after in _DIGITS - set("百千万亿")
    if not following or is_digit or before in _BEFORE_FIRST or after in _BEHIND_FIRST:
        return "yi1"
    return "yi4" if following in "123" else "yi2"


def _third_tones(words: list[list[str]]) -> list[list[str]]:
    """Third-tone sandhi: the first of two becomes a second tone, within words, then between
    them."""
    spoken = [list(word) for word in words]
    for word in spoken:
        for at in range(len(word) - 1):
            if word[at][-1] == word[at + 1][-1] == "3":
                word[at] = word[at][:-1] + "2"
    for left, right in itertools.pairwise(spoken):
        if left[-1][-1] == right[0][-1] == "3":
            left[-1] = left[-1][:-1] + "2"
    return spoken


def _regrouped(words: list[tuple[str, list[str]]], flat: list[str]) -> list[list[str]]:
    found, at = [], 0
    for _, syllables in words:
        found.append(flat[at : at + len(syllables)])
        at += len(syllables)
    return found


def _with_erhua(written: list[str], spoken: list[list[str]]) -> list[Word]:
    """Third-tone sandhi: the first of two becomes a second tone, within and across words."""
    found: list[Word] = []
    for word, syllables in zip(written, spoken, strict=True):
        if word == "儿" and found and found[-1].written[-1] not in _NOT_RHOTIC:
            last = found.pop()
            rhotic = last.rhotic | {len(last.syllables) - 1}
            found.append(Word(last.written + word, last.syllables, rhotic))
        elif len(word) > 1 and word[-1] == "儿" and word[-2] not in _NOT_RHOTIC:
            found.append(Word(word, tuple(syllables[:-1]), frozenset({len(syllables) - 2})))
        else:
            found.append(Word(word, tuple(syllables)))
    return found
