"""Mandarin: polyphones, tone sandhi, neutral tones, erhua."""

import pytest
from pypinyin.constants import PINYIN_DICT
from pypinyin.contrib.tone_convert import to_tone3

from models.text.languages.zh.pronouncing import pronounce
from models.text.languages.zh.syllables import NEW_SYMBOLS, symbols_of
from models.text.symbols import SYMBOLS

SEVERAL_READINGS = {
    "银行几点开门": "yin2 hang2 ji2 dian3 kai1 men2",
    "他在银行工作": "ta1 zai4 yin2 hang2 gong1 zuo4",
    "这个行业很有前途": "zhe4 ge5 hang2 ye4 hen2 you3 qian2 tu2",
    "他是这方面的内行": "ta1 shi4 zhe4 fang1 mian4 de5 nei4 hang2",
    "请看第三行": "qing3 kan4 di4 san1 hang2",
    "写了两行字": "xie3 le5 liang3 hang2 zi4",
    "我们一起旅行": "wo3 men5 yi4 qi2 lv3 xing2",
    "这样做行不行": "zhe4 yang4 zuo4 xing2 bu5 xing2",
    "步行去学校": "bu4 xing2 qu4 xue2 xiao4",
    "行李太重了": "xing2 li5 tai4 zhong4 le5",
    "他的行为很奇怪": "ta1 de5 xing2 wei2 hen3 qi2 guai4",
    "各行各业": "ge4 hang2 ge4 ye4",
    "他长大了": "ta1 zhang3 da4 le5",
    "长江很长": "chang2 jiang1 hen3 chang2",
    "校长来了": "xiao4 zhang3 lai2 le5",
    "她的头发很长": "ta1 de5 tou2 fa5 hen3 chang2",
    "小明长高了": "xiao3 ming2 zhang3 gao1 le5",
    "孩子长得真快": "hai2 zi5 zhang3 de5 zhen1 kuai4",
    "裤子太长了": "ku4 zi5 tai4 chang2 le5",
    "班长和家长": "ban1 zhang3 he2 jia1 zhang3",
    "增长很快": "zeng1 zhang2 hen3 kuai4",
    "时间不长": "shi2 jian1 bu4 chang2",
    "特长是游泳": "te4 chang2 shi4 you2 yong3",
    "生长在北方": "sheng1 zhang3 zai4 bei3 fang1",
    "跑得很快": "pao3 de5 hen3 kuai4",
    "我得走了": "wo2 dei2 zou3 le5",
    "他得了第一名": "ta1 de2 le5 di4 yi1 ming2",
    "你得去看医生": "ni2 dei3 qu4 kan4 yi1 sheng1",
    "我觉得很好": "wo3 jue2 de5 hen2 hao3",
    "得到奖励": "de2 dao4 jiang3 li4",
    "说得对": "shuo1 de5 dui4",
    "记得带伞": "ji4 de5 dai4 san3",
    "高兴得跳起来": "gao1 xing4 de5 tiao4 qi3 lai2",
    "得分最高": "de2 fen1 zui4 gao1",
    "他写得好": "ta1 xie3 de5 hao3",
    "你还得等等": "ni3 hai2 dei3 deng2 deng3",
    "还有三个": "hai2 you3 san1 ge4",
    "我去图书馆还书": "wo3 qu4 tu2 shu1 guan3 huan2 shu1",
    "把钱还给我": "ba3 qian2 huan2 gei2 wo3",
    "我还没吃饭": "wo3 hai2 mei2 chi1 fan4",
    "还是你好": "hai2 shi5 ni2 hao3",
    "他还在睡觉": "ta1 hai2 zai4 shui4 jiao4",
    "借的钱要还": "jie4 de5 qian2 yao4 huan2",
    "归还失物": "gui1 huan2 shi1 wu4",
    "还不错": "hai2 bu2 cuo4",
    "他还钱了": "ta1 huan2 qian2 le5",
    "首都是北京": "shou3 du1 shi4 bei3 jing1",
    "大家都来了": "da4 jia1 dou1 lai2 le5",
    "成都很美": "cheng2 du1 hen2 mei3",
    "大都市的生活": "da4 du1 shi4 de5 sheng1 huo2",
    "我们都喜欢": "wo3 men5 dou1 xi3 huan5",
    "都市里的人": "dou1 shi4 li3 de5 ren2",
    "他都知道": "ta1 dou1 zhi1 dao5",
    "全都好了": "quan2 dou1 hao3 le5",
    "建都南京": "jian4 du1 nan2 jing1",
    "一点都不冷": "yi4 dian3 dou1 bu4 leng3",
    "重新开始": "chong2 xin1 kai1 shi3",
    "这个箱子很重": "zhe4 ge5 xiang1 zi5 hen3 zhong4",
    "这很重要": "zhe4 hen3 zhong4 yao4",
    "不要重复": "bu2 yao4 chong2 fu4",
    "重庆火锅": "chong2 qing4 huo3 guo1",
    "体重增加了": "ti3 zhong4 zeng1 jia1 le5",
    "重来一遍": "chong2 lai2 yi2 bian4",
    "重视环境": "zhong4 shi4 huan2 jing4",
    "双重标准": "shuang1 chong2 biao1 zhun3",
    "重量是多少": "zhong4 liang4 shi4 duo1 shao5",
    "重建家园": "chong2 jian4 jia1 yuan2",
    "重点学校": "zhong4 dian3 xue2 xiao4",
}
SANDHI = {
    "你好": "ni2 hao3",
    "我很好": "wo2 hen2 hao3",
    "展览馆": "zhan2 lan2 guan3",
    "水果": "shui2 guo3",
    "了解": "liao2 jie3",
    "不是": "bu2 shi4",
    "不好": "bu4 hao3",
    "是不是": "shi4 bu5 shi4",
    "不一定": "bu4 yi2 ding4",
    "一个": "yi2 ge4",
    "一天": "yi4 tian1",
    "一年": "yi4 nian2",
    "一起": "yi4 qi3",
    "一样": "yi2 yang4",
    "一百": "yi4 bai3",
    "看一看": "kan4 yi5 kan4",
    "第一": "di4 yi1",
    "十一": "shi2 yi1",
    "一月一日": "yi1 yue4 yi1 ri4",
    "百分之二十一": "bai3 fen1 zhi1 er4 shi2 yi1",
    "两点一刻": "liang2 dian3 yi2 ke4",
}
NEUTRAL = {
    "朋友": "peng2 you5",
    "东西": "dong1 xi5",
    "爸爸": "ba4 ba5",
    "我们": "wo3 men5",
    "桌子": "zhuo1 zi5",
    "你呢": "ni3 ne5",
    "吃了": "chi1 le5",
    "他坐着": "ta1 zuo4 zhe5",
    "慢慢地走": "man4 man4 de5 zou3",
}


def pinyin(text: str) -> str:
    return " ".join(syllable for word in pronounce(text) for syllable in word.syllables)


@pytest.mark.parametrize(
    ("text", "spoken"), [*SEVERAL_READINGS.items(), *SANDHI.items(), *NEUTRAL.items()]
)
def test_pinyin(text: str, spoken: str) -> None:
    assert pinyin(text) == spoken


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("花儿", ["x", "w", "a1", "ɻ"]),
        ("玩儿", ["w", "a2", "ɻ"]),
        ("一点儿", ["i4", "d", "j", "e3", "ɻ"]),
        ("这儿", ["tʂ", "ɤ4", "ɻ"]),
        ("女儿", ["n", "y3", "ɚ2"]),
        ("儿子", ["ɚ2", "ts", "ɨ5"]),
    ],
)
def test_erhua(text: str, symbols: list[str]) -> None:
    found = []
    for word in pronounce(text):
        for number, syllable in enumerate(word.syllables):
            found += symbols_of(syllable, number in word.rhotic)
    assert found == symbols


def test_all_syllables_map_to_the_inventory() -> None:
    syllables = {
        to_tone3(reading, neutral_tone_with_five=True)
        for readings in PINYIN_DICT.values()
        for reading in readings.split(",")
    }
    assert len(syllables) > 1300
    for syllable in syllables:
        assert set(symbols_of(syllable)) <= set(SYMBOLS), syllable


def test_mandarin_symbols_are_append_only() -> None:
    at = SYMBOLS.index("<zh>")
    assert SYMBOLS[at + 1 : at + 1 + len(NEW_SYMBOLS)] == NEW_SYMBOLS
    assert NEW_SYMBOLS[:4] == ("tɕ", "tɕʰ", "ɕ", "tʂ")
    assert len(set(SYMBOLS)) == len(SYMBOLS)
